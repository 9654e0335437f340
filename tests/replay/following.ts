import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { type FollowOptions, follow } from "../../bench/replay/follow.js";
import type { SubjectName } from "../../bench/replay/subject.js";
import { startProgram } from "../support/startProgram.js";

const program = new URL("../../build/bench/replay/main.js", import.meta.url);

export const names: SubjectName[] = ["tidemark", "plain"];

/** Follows a feed in this process, and keeps what is said meanwhile. */
export async function followed(name: SubjectName, options: FollowOptions, progress?: (share: number) => void) {
  const notices: string[] = [];
  const report = await follow(name, options, (text) => notices.push(text), progress);
  return { report, notices };
}

/** Runs the whole program to its end. */
export const run = (...words: string[]) => startProgram(program, words).ended;

/** A server that is none of the program's own, and that does with each connection what `play` says. */
export async function withPeer(play: (socket: WebSocket) => void, body: (url: string) => Promise<void>): Promise<void> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => {
    socket.on("error", () => {}); // a client that is gone is seen by its close
    play(socket);
  });
  await once(server, "listening");
  try {
    await body(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
}
