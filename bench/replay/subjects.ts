import { PlainSubject } from "./plainSubject.js";
import type { CreateSubject, SubjectName } from "./subject.js";

/** The subjects that there are, in the order of the table. Each process loads the code of its own only. */
export const subjects: Readonly<Record<SubjectName, CreateSubject>> = {
  tidemark: async (recording) => (await import("./tidemarkSubject.js")).TidemarkSubject.create(recording),
  plain: async (recording) => new PlainSubject(recording),
};
