export type { Framing, MessageRingStats } from "../messageRing.js";
export { RingMessage } from "../ringMessage.js";
export type { SourceStream } from "./detect.js";
export type { EventTargetStream } from "./eventTarget.js";
export type { NodeStream } from "./nodeStream.js";
export type { SourceOptions } from "./options.js";
export type { WebStream } from "./pulled.js";
export { Source, type SourceReport, type SourceStats } from "./source.js";
export type { WebSocketStream } from "./webSocket.js";
