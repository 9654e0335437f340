/** A server could not be reached, or not again, with a message for the person who named it. */
export class ConnectionFailure extends Error {
  override readonly name = "ConnectionFailure";
}
