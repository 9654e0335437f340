import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { generateFeed } from "../../bench/replay/generator.js";
import { MAXIMUM_MESSAGE_BYTES } from "../../bench/replay/message.js";
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

describe.each(names)("the %s client", (name) => {
  const texts = generateFeed({ seed: 5, messages: 300 })
    .toString("latin1")
    .split("\n", 300)
    .map((line) => line.slice(line.indexOf(" ") + 1));
  const sendAll = (messages: readonly string[], end: (socket: WebSocket) => void) => (socket: WebSocket) => {
    for (const message of messages) socket.send(message);
    end(socket);
  };

  test("takes messages as long as a line of a file may be, one after another, and refuses longer ones only", async () => {
    const longest = trade(MAXIMUM_MESSAGE_BYTES);
    const tooLong = trade(MAXIMUM_MESSAGE_BYTES + 1);
    const far = "x".repeat(2 * MAXIMUM_MESSAGE_BYTES);
    const messages = [longest, texts[0]!, longest, longest, tooLong, far, longest, ...texts.slice(1), "{}"];
    await withPeer(
      sendAll(messages, (socket) => socket.close(1000)),
      async (url) => {
        const { report, notices } = await followed(name, { url, verify: false });
        expect(notices).toEqual([]);
        const reason = `longer than ${MAXIMUM_MESSAGE_BYTES} bytes`;
        const shown = (text: string) => `${text.slice(0, 100)}… (${text.length} bytes)`;
        expect(report.refused).toEqual({
          count: 3,
          first: [
            { place: "message 5", reason, text: shown(tooLong) },
            { place: "message 6", reason, text: shown(far) },
            { place: "message 307", reason: "neither snapshot nor stream event", text: "{}" },
          ],
        });
        expect(report.book.counters.messages).toBe(304);
        expect(report.feedBytes).toBe(messages.reduce((sum, { length }) => sum + length, 0));
      },
    );
  });

  test.each([
    ["with code 1000", (socket: WebSocket) => socket.close(1000)],
    ["without a code", (socket: WebSocket) => socket.close()],
  ])("takes it for the end when the server closes %s", async (_, end) => {
    await withPeer(sendAll(texts, end), async (url) => {
      const { report, notices } = await followed(name, { url, verify: false });
      expect(notices).toEqual([]);
      expect(report.book.counters.messages).toBe(300);
      expect(report.connection!.connections).toBe(1);
    });
  });

  test("counts the bytes of the messages that it has handled, and of none that came after the last", async () => {
    const limit = 200;
    const bytes = texts.slice(0, limit).reduce((sum, { length }) => sum + length, 0);
    await withPeer(
      sendAll(texts, () => {}),
      async (url) => {
        const { report } = await followed(name, { url, verify: false, limit });
        expect(report.book.counters.messages).toBe(limit);
        expect(report.feedBytes).toBe(bytes);
      },
    );
  });

  test("ends with the last message that is wanted, also where the server does not answer the end of its connection", async () => {
    await withPeer(
      sendAll(texts, (socket) => socket.pause()),
      async (url) => {
        const start = performance.now();
        const { report } = await followed(name, { url, verify: false, limit: 200 });
        expect(report.book.counters.messages).toBe(200);
        expect(performance.now() - start).toBeLessThan(15_000); // a WebSocket waits for twice as long
      },
    );
  });

  test("asks for no other connection when it is lost behind the last message that is wanted", async () => {
    const wanted = 5000; // more than the queue holds: the end is seen before the last is handled
    let connections = 0;
    const send = (socket: WebSocket) => {
      connections++;
      const { _socket: below } = socket as unknown as { _socket: Socket };
      // All at once: frames of a text of one letter, and what is no frame.
      below.write(Buffer.concat([Buffer.from("\x81\x01x".repeat(wanted), "latin1"), Buffer.alloc(8, 0xff)]));
      if (connections > 1) socket.close(1000);
    };
    await withPeer(send, async (url) => {
      const { report, notices } = await followed(name, { url, verify: false, limit: wanted });
      expect(notices).toEqual([]);
      expect(report.refused.count).toBe(wanted);
      expect(connections).toBe(1);
    });
  });
});

/** A message of so many bytes. */
function trade(length: number): string {
  const [begin, end] = ['{"stream":"', '@trade","data":{"e":"trade","p":"1.5","q":"2"}}'];
  return begin + "s".repeat(length - begin.length - end.length) + end;
}

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
