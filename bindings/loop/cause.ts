/**
 * The error to report when `fault` came up while `error` was being dealt with: the fault, with the error as its `cause`.
 *
 * Without a fault it is the error itself. The fault is left as it is where there is nothing to add: it has a cause, is
 * the same error, or takes no properties; and where it throws when it is looked at, as it is a stranger's.
 */
export function causedBy(fault: unknown, error: unknown): unknown {
  if (fault === undefined) return error;
  try {
    if (fault instanceof Error && fault !== error && fault.cause === undefined && Object.isExtensible(fault)) {
      Object.defineProperty(fault, "cause", { value: error, configurable: true, writable: true });
    }
  } catch {
    // see above
  }
  return fault;
}
