/**
 * Engine flags of every process that is measured, the peers' and Tidemark's alike.
 *
 * V8 starts with a young generation of one or two megabytes and lets it grow to 16 as objects survive. Programs under
 * load end there, so all start there: a peer is not charged for a heap that is still small, and one stray collection
 * does not tell more about the warm-up than about the subject. `gc` lets a process begin its measurement clean.
 */
export const ENGINE_FLAGS: readonly string[] = ["--expose-gc", "--min-semi-space-size=16"];
