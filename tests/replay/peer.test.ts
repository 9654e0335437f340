import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { followed, names, run, withPeer } from "./following.js";

/** What a terminal obeys, but for the ends of lines. */
const CONTROL = /[^\P{C}\n]/u;

describe.each(names)("of a server's texts the %s client shows", (name) => {
  test("a message that is none with its unprintable bytes made visible", async () => {
    const send = (socket: WebSocket) => {
      socket.send("\x1b]0;title\x07\x00\r\nrefused: forged \u00fc");
      socket.close(1000);
    };
    await withPeer(send, async (url) => {
      const { report } = await followed(name, { url, verify: false });
      expect(report.refused.first).toEqual([
        {
          place: "message 1",
          reason: "not JSON",
          text: "\\x1b]0;title\\x07\\x00\\x0d\\x0arefused: forged \\xc3\\xbc",
        },
      ]);
    });
  });

  test("the first hundred bytes of a long one, and how long it is", async () => {
    const send = (socket: WebSocket) => {
      socket.send("y".repeat(500));
      socket.close(1000);
    };
    await withPeer(send, async (url) => {
      const { report } = await followed(name, { url, verify: false });
      expect(report.refused.first[0]!.text).toBe(`${"y".repeat(100)}… (500 bytes)`);
    });
  });
});

describe("the program has no text of a server command the terminal:", () => {
  test("neither a message", async () => {
    const send = (socket: WebSocket) => {
      socket.send("\x1b[31mred\r\nrefused: forged");
      socket.close(1000);
    };
    await withPeer(send, async (url) => {
      const { out, error } = await run("--connect", url);
      expect(error).toContain("refused: message 1: not JSON: \\x1b[31mred\\x0d\\x0arefused: forged\n");
      expect(out + error).not.toMatch(CONTROL);
    });
  });

  test("nor the reason for which it closes, nor the URL that it was given", async () => {
    await withPeer(
      (socket) => socket.close(1013, "sp\u00e4ter\n\u009b31merror: forged \u202e"),
      async (url) => {
        const { status, out, error } = await run("--connect", `${url}\x1b[2J`);
        expect(error).toBe(
          `error: ${url}\\x1b[2J cannot be followed: the WebSocket was closed with code 1013: ` +
            "sp\u00e4ter\\x0a\\x9b31merror: forged \\u{202e}\n",
        );
        expect([status, out]).toEqual([2, ""]);
      },
    );
  });
});
