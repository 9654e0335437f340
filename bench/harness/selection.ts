/** Finds the suites and cases that a run is about. */

import type { Case, Suite } from "./case.js";

/** A suite and the module it came from, which the children load again. */
export interface LoadedSuite {
  readonly url: string;
  readonly suite: Suite;
}

export interface SelectedCase {
  readonly suite: LoadedSuite;
  readonly case: Case;
}

/** The user has named a suite or a case that there is not. */
export class UnknownNameError extends Error {
  constructor(kind: "suite" | "case", name: string, known: readonly string[]) {
    super(`unknown ${kind} "${name}"; there ${known.length === 1 ? "is" : "are"}: ${known.join(", ") || "none"}`);
    this.name = "UnknownNameError";
  }
}

/** Loads a suite file: an ES module whose default export comes from `defineSuite`. @throws {TypeError} if that is none */
export async function loadSuite(url: string): Promise<LoadedSuite> {
  const { default: suite } = (await import(url)) as { default?: Partial<Suite> };
  if (typeof suite?.name !== "string" || !Array.isArray(suite.cases)) {
    const found = suite === undefined ? "has no default export" : "exports something else by default";
    throw new TypeError(`${url} ${found}; a suite file exports defineSuite(…)`);
  }
  return { url, suite: suite as Suite };
}

/**
 * The cases that are in one of the named suites and have one of the given names; no names mean all.
 *
 * @throws {UnknownNameError} if a name fits nothing
 */
export function selectCases(
  loaded: readonly LoadedSuite[],
  suiteNames: readonly string[] = [],
  caseNames: readonly string[] = [],
): SelectedCase[] {
  for (const name of suiteNames) {
    if (!loaded.some(({ suite }) => suite.name === name)) {
      throw new UnknownNameError(
        "suite",
        name,
        loaded.map(({ suite }) => suite.name),
      );
    }
  }
  const candidates = loaded
    .filter(({ suite }) => suiteNames.length === 0 || suiteNames.includes(suite.name))
    .flatMap((suite) => suite.suite.cases.map((candidate) => ({ suite, case: candidate })));
  for (const name of caseNames) {
    if (!candidates.some((candidate) => candidate.case.name === name)) {
      throw new UnknownNameError(
        "case",
        name,
        candidates.map((candidate) => candidate.case.name),
      );
    }
  }
  return candidates.filter((candidate) => caseNames.length === 0 || caseNames.includes(candidate.case.name));
}
