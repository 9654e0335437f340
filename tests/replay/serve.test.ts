import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ConnectionFailure } from "../../bench/replay/connectionFailure.js";
import { FeedServer, FeedServerError } from "../../bench/replay/feedServer.js";
import { generateFeed } from "../../bench/replay/generator.js";
import { createLiveClient, type LiveObserver } from "../../bench/replay/liveClient.js";
import { LiveVerification } from "../../bench/replay/liveVerification.js";
import type { SubjectReport } from "../../bench/replay/measure.js";
import { decodeLine, FeedMessage } from "../../bench/replay/message.js";
import { isVerified, Verification } from "../../bench/replay/oracle.js";
import { PlainBook } from "../../bench/replay/plainBook.js";
import { PlainSubject } from "../../bench/replay/plainSubject.js";
import { playClosed } from "../../bench/replay/play.js";
import { type Recording, readRecording, recordingOf } from "../../bench/replay/recording.js";
import type { ReplayResult } from "../../bench/replay/result.js";
import type { BookSummary } from "../../bench/replay/subject.js";
import { dataPath, hasData } from "../data.js";
import { followed, names, run, withPeer } from "./following.js";

const folder = mkdtempSync(join(tmpdir(), "tidemark-serve-"));
afterAll(() => rmSync(folder, { recursive: true }));

const recorded = () =>
  readRecording(["20240808", "20240809"].map((day) => dataPath(`orderbook/binance-spot/btcusdt_${day}.gz`)));
const generated = (messages: number) => recordingOf("generated", generateFeed({ seed: 1, messages }));
/** What there is: the recordings, or a generated feed in their place. */
const wholeFeed = hasData ? recorded() : generated(150_000); // much more than lies in sockets at once

async function withServer(
  recording: Recording,
  body: (server: FeedServer) => Promise<void>,
  options?: { rate: number },
): Promise<void> {
  const server = await FeedServer.open(recording, options);
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

/** The book and the verification that the recording gives without any connection. */
async function expectedOf(recording: Recording): Promise<{ book: BookSummary; verification: Verification }> {
  const subject = new PlainSubject(recording);
  const verification = new Verification(recording);
  await playClosed(recording, subject, verification);
  return { book: subject.book(), verification };
}

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** A client, once there is somebody who listens. */
async function connected(url: string): Promise<WebSocket> {
  for (;;) {
    const socket = new WebSocket(url);
    try {
      await once(socket, "open");
      return socket;
    } catch {
      await sleep(20);
    }
  }
}

describe.each(names)("the %s client", (name) => {
  test("follows a whole recording with verification, and has the book that the recording gives", async () => {
    const { book, verification } = await expectedOf(wholeFeed);
    await withServer(wholeFeed, async (server) => {
      const { report, notices } = await followed(name, { url: server.url("client"), verify: true });
      expect(notices).toEqual([]);
      expect(report.book).toEqual(book);
      expect(report.verification).toEqual(verification.totals());
      expect(report.refused.count).toBe(0);
      expect(report.connection).toMatchObject({ connections: 1 });
      expect(report.latencyMicros.p50).toBeGreaterThan(0);
    });
  });

  test("is cut off twice, comes again, waits for a snapshot, and has the right book at the end", async () => {
    const { book } = await expectedOf(wholeFeed);
    const cuts = [0.3, 0.6];
    await withServer(wholeFeed, async (server) => {
      const options = { url: server.url("client"), verify: true, expected: wholeFeed.lineCount };
      const { report, notices } = await followed(name, options, (share) => {
        if (share < (cuts[0] ?? 2)) return;
        cuts.shift();
        server.breakConnections();
      });
      expect(cuts).toEqual([]);
      expect(notices).toHaveLength(2);
      expect(notices[0]).toMatch(
        /^ws:.* was lost after [\d,]+ messages: .*1006.*; connecting again, and waiting for a snap/,
      );
      expect(report.connection!.connections).toBe(3);
      expect(report.book.bids).toEqual(book.bids);
      expect(report.book.asks).toEqual(book.asks);
      expect(report.book.counters.snapshots).toBe(book.counters.snapshots + 2);
      expect(isVerified(report.verification!)).toBe(true);
    });
  });

  test("that cannot connect is told why; one whose server does not come back gives up after some attempts", async () => {
    const refused = followed(name, { url: "ws://127.0.0.1:1/", verify: false });
    await expect(refused).rejects.toThrow(ConnectionFailure);
    await expect(refused).rejects.toThrow("ws://127.0.0.1:1/ cannot be followed: connect ECONNREFUSED 127.0.0.1:1");

    const recording = generated(20_000);
    const server = await FeedServer.open(recording);
    const url = server.url("client");
    let closed: Promise<void> | undefined;
    const lost = followed(name, { url, verify: false, expected: 20_000 }, () => {
      server.breakConnections();
      closed ??= server.close();
    });
    await expect(lost).rejects.toThrow(
      /was lost after [\d,]+ messages, and could not be had again in 5 attempts: .*ECONNREFUSED/,
    );
    await closed;
  });

  test("gives up a server that sends something and is gone, again and again", async () => {
    let connections = 0;
    const play = (socket: WebSocket) => {
      connections++;
      for (const line of generateFeed({ seed: 3, messages: 100 }).toString("latin1").split("\n").slice(0, 100)) {
        socket.send(line);
      }
      socket.close(1011);
    };
    await withPeer(play, async (url) => {
      await expect(followed(name, { url, verify: false })).rejects.toThrow(
        /was lost after 600 messages, and was had again in 5 of 5 attempts, each time for less than 5 seconds: .*1011/,
      );
    });
    expect(connections).toBe(6);
  });

  test("takes it for the end when the server ends, and asks for it no more", async () => {
    const server = await FeedServer.open(generated(20_000), { rate: 5000 });
    let closed: Promise<void> | undefined;
    const options = { url: server.url("client"), verify: false, expected: 20_000 };
    const { report, notices } = await followed(name, options, () => {
      closed ??= server.close();
    });
    await closed;
    expect(notices).toEqual([]);
    expect(report.connection!.connections).toBe(1);
    expect(report.book.counters.messages).toBeLessThan(20_000);
  });

  test("tells why a server does not want it", async () => {
    const server = await FeedServer.open(generated(100_000), { rate: 1000 });
    const other = new WebSocket(server.url("client"));
    await once(other, "message");
    await expect(followed(name, { url: server.url("client"), verify: false })).rejects.toThrow(
      /client cannot be followed: .* closed with code 1013: a client of this name is connected$/,
    );
    await server.close();
  });

  test("stops after as many messages as it should", () =>
    withServer(generated(20_000), async (server) => {
      const { report } = await followed(name, { url: server.url("client"), verify: false, limit: 5000 });
      expect(report.book.counters.messages).toBe(5000);
    }));

  test("refuses what is no message, with its number, and goes on", async () => {
    const lines = generateFeed({ seed: 2, messages: 500 }).toString("latin1").split("\n");
    lines.splice(200, 0, "1 not a message", "2 {}", '3 "\u00e4"');
    await withServer(recordingOf("bad", Buffer.from(lines.join("\n"), "latin1")), async (server) => {
      const { report } = await followed(name, { url: server.url("client"), verify: false });
      expect(report.refused.count).toBe(3);
      expect(report.refused.first[0]).toEqual({ place: "message 201", reason: "not JSON", text: "not a message" });
      expect(report.book.counters.messages).toBe(500);
    });
  });
});

test("a slow handler reaches the server: memory stays bounded on both sides, and nothing is lost", async () => {
  const { book } = await expectedOf(wholeFeed);
  const verification = new LiveVerification();
  let handled = 0;
  let residentBefore = 0;
  // Slow for some thousands of messages, not a little slow for all: of them a turn handles fewer than one read of the socket brings,
  // however fast or busy the machine is.
  const isSlow = () => handled % 10 === 0 && handled > 10_000 && handled <= 20_000;
  const slow: LiveObserver = {
    arrive() {},
    begin() {},
    end() {
      if (++handled === 10_000) residentBefore = process.memoryUsage.rss();
      if (!isSlow()) return;
      const until = performance.now() + 4;
      while (performance.now() < until);
    },
    verify: (...levels) => verification.verify(...levels),
    ticker: (ticker) => verification.ticker(ticker),
  };
  await withServer(wholeFeed, async (server) => {
    const client = await createLiveClient("tidemark", slow);
    await client.follow(new WebSocket(server.url("slow")));
    expect(client.book()).toEqual(book);
    expect(handled).toBe(wholeFeed.lineCount);
    expect(isVerified(verification.totals())).toBe(true);
    expect(client.pauses).toBeGreaterThan(10);
    expect(client.linearBytes()).toBeLessThan(10 << 20);
    expect(server.bufferedHighWater).toBeLessThan(1 << 20);
    expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(60 << 20); // the whole feed twice
    await client.dispose();
  });
});

describe("the verification of a feed that is not known beforehand", () => {
  const compare = (recording: Recording) => {
    const before = new Verification(recording);
    const live = new LiveVerification();
    const book = new PlainBook();
    book.observer = {
      begin() {},
      end() {},
      verify(...levels) {
        before.verify(...levels);
        live.verify(...levels);
      },
    };
    const message = new FeedMessage();
    for (let line = 0; line < recording.lineCount; line++) {
      if (decodeLine(recording, line, message) !== undefined) continue;
      book.take(message);
      if (message.kind === "bookTicker") live.ticker(message);
    }
    expect(live.totals()).toEqual(before.totals());
    return live.totals();
  };

  test("finds what that of a recording finds, where all is well and where it is not", () => {
    expect(compare(generated(20_000)).compared).toBeGreaterThan(1000);
    const wrong = generateFeed({ seed: 3, messages: 5000 })
      .toString("latin1")
      .replace(/"B":"(\d+)\.(\d)/g, (text, whole, digit) => (digit === "7" ? `"B":"${Number(whole) + 1}.7` : text));
    const { compared, equal } = compare(recordingOf("wrong", Buffer.from(wrong, "latin1")));
    expect(equal).toBeLessThan(compared);
    if (hasData) expect(compare(recorded())).toMatchObject({ compared: 6_493, equal: 6_491 });
  });
});

describe("the server", () => {
  test("sends the updates around a return, and the snapshot behind newer ones, so that old ones must be dropped", () =>
    withServer(generated(20_000), async (server) => {
      const read = (limit: number) =>
        new Promise<{ u?: number; lastUpdateId?: number }[]>((resolve) => {
          const found: { u?: number; lastUpdateId?: number }[] = [];
          const socket = new WebSocket(server.url("reader"));
          socket.on("message", (data) => {
            const message = JSON.parse(String(data));
            found.push(message.lastUpdateId === undefined ? { u: message.data.U && message.data.u } : message);
            if (found.length === limit) socket.terminate();
          });
          socket.on("close", () => resolve(found));
        });
      await read(5000);
      await sleep(50); // until the server has seen that it is gone
      const again = await read(500);
      const place = again.findIndex(({ lastUpdateId }) => lastUpdateId !== undefined);
      expect(place).toBeGreaterThanOrEqual(200);
      const snapshot = again[place]!.lastUpdateId!;
      const updates = (messages: typeof again) => messages.flatMap(({ u }) => (u === undefined ? [] : [u]));
      expect(Math.min(...updates(again.slice(0, place)))).toBeLessThanOrEqual(snapshot);
      expect(Math.min(...updates(again.slice(place)))).toBeGreaterThan(snapshot);
    }));

  test("is on this machine only, has one client of a name, and closes with all of them", async () => {
    const server = await FeedServer.open(generated(100_000), { rate: 1000 });
    expect(server.url("x")).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/x$/);
    const first = new WebSocket(server.url("x"));
    await new Promise((resolve) => first.once("message", resolve));
    const second = new WebSocket(server.url("x"));
    const [code, reason] = await new Promise<[number, string]>((resolve) =>
      second.once("close", (code, reason) => resolve([code, String(reason)])),
    );
    expect([code, reason]).toEqual([1013, "a client of this name is connected"]);
    const closed = once(first, "close");
    await server.close();
    const [lastCode, lastReason] = await closed;
    expect([lastCode, String(lastReason)]).toEqual([1000, "the server ends"]);
  });

  test("waits a while for a client that does not answer, and ends without it", async () => {
    const server = await FeedServer.open(generated(100_000), { rate: 1000 });
    const client = new WebSocket(server.url("x"));
    await once(client, "message");
    client.pause();
    const start = performance.now();
    await server.close();
    expect(performance.now() - start).toBeLessThan(5000);
    client.terminate();
  });

  test("keeps the rate", () =>
    withServer(
      generated(1000),
      async (server) => {
        const start = performance.now();
        await followed("plain", { url: server.url("x"), verify: false });
        const seconds = (performance.now() - start) / 1000;
        expect(seconds).toBeGreaterThan(0.49);
      },
      { rate: 2000 },
    ));

  test("keeps a rate of few messages a second", () =>
    withServer(
      generated(100),
      async (server) => {
        const socket = new WebSocket(server.url("x"));
        const gaps: number[] = [];
        let before: number | undefined;
        for (let message = 0; message < 4; message++) {
          await once(socket, "message");
          const now = performance.now();
          if (before !== undefined) gaps.push(now - before);
          before = now;
        }
        socket.terminate();
        // What comes late shortens the next gap, so all together.
        expect(gaps.reduce((sum, gap) => sum + gap)).toBeGreaterThan(600);
      },
      { rate: 4 },
    ));

  test("that cannot have its port says so", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const opened = FeedServer.open(generated(100), { port });
    await expect(opened).rejects.toThrow(FeedServerError);
    await expect(opened).rejects.toThrow(`port ${port} of 127.0.0.1 cannot be had: it is in use`);
    other.close();
  });
});

describe("the program", () => {
  test("serves a feed to both subjects, verifies, compares, and writes it all as JSON", async () => {
    const path = join(folder, "served.json");
    const { status, out, error } = await run("--serve", "--verify", "--messages", "5000", "--json", path);
    expect(error).toBe("");
    expect(status).toBe(0);
    expect(out).toMatch(/^5,000 messages, /);
    expect(out).toMatch(/tidemark: one connection to ws:\/\/127\.0\.0\.1:\d+\/tidemark, held up [\d,]+ times/);
    const result = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
    expect(result.verified.compared).toBeGreaterThan(100);
    expect(result.verified.equal).toBe(result.verified.compared);
    expect(result.subjects.map(({ connection }) => connection?.connections)).toEqual([1, 1]);
  });

  test("serves files at a rate, on a port that is given", async () => {
    const path = join(folder, "feed.txt");
    writeFileSync(path, generateFeed({ seed: 4, messages: 500 }));
    const start = performance.now();
    const { status, error } = await run(path, "--serve", "0", "--rate", "1000", "--only", "tidemark");
    expect(error).toBe("");
    expect(status).toBe(0);
    expect(performance.now() - start).toBeGreaterThan(490);
  });

  test("shows and writes what one subject has measured where another's client has the other one's place", async () => {
    const port = await freePort();
    const path = join(folder, "half.json");
    const words = ["--serve", `${port}`, "--messages", "2000", "--rate", "4000", "--json", path];
    const ended = run(...words);
    const stranger = await connected(`ws://127.0.0.1:${port}/plain`);
    stranger.pause(); // so that it keeps its place
    const { status, out, error } = await ended;
    stranger.terminate();
    expect(error).toBe(
      `error: ws://127.0.0.1:${port}/plain cannot be followed: it was closed with code 1013: a client of this name is connected\n`,
    );
    expect(status).toBe(2);
    expect(out).toMatch(/^2,000 messages, /);
    const { subjects } = JSON.parse(readFileSync(path, "utf8")) as ReplayResult;
    expect(subjects.map(({ name }) => name)).toEqual(["tidemark"]);
  });

  test("asks nothing about files where the feed of a server has no snapshot", async () => {
    const lines = generateFeed({ seed: 1, messages: 500 }).toString("latin1").split("\n").slice(100);
    await withServer(recordingOf("tail", Buffer.from(lines.join("\n"))), async (server) => {
      const { status, error } = await run("--connect", server.url("x"));
      expect(error).toBe("note: the feed has no snapshot, so its book stays empty\n");
      expect(status).toBe(0);
    });
  });

  test("says of files that it serves that they are not in the order of their times", async () => {
    const lines = generateFeed({ seed: 4, messages: 500 }).toString("latin1").split("\n");
    const [one, two] = [lines.slice(0, 250), lines.slice(250)].map((part, index) => {
      const path = join(folder, `part${index}.txt`);
      writeFileSync(path, part.join("\n"));
      return path;
    }) as [string, string];
    const { out, error } = await run(two, one, "--serve", "--only", "plain");
    expect(out).toContain("not in order: part0.txt begins before the end of part1.txt, which is given before it\n");
    expect(error).toContain(
      "note: part0.txt begins before the end of part1.txt, which is given before it: are the files",
    );
  });

  test("follows any server of the format, with one subject, to its end", () =>
    withServer(generated(3000), async (server) => {
      const { status, out, error } = await run("--connect", server.url("anybody"), "--verify");
      expect(error).toBe("");
      expect(status).toBe(0);
      expect(out).toMatch(/^3,000 messages, /);
      expect(out).not.toContain("plain");
    }));

  test("tells of a connection that was lost, and goes on", () =>
    withServer(
      generated(4000),
      async (server) => {
        const ended = run("--connect", server.url("client"), "--verify");
        while (server.clientCount === 0) await sleep(20);
        await sleep(500);
        server.breakConnections();
        const { status, error } = await ended;
        expect(error).toMatch(
          /^note: ws:.* was lost after [\d,]+ messages: .*; connecting again, and waiting for a snapshot\n$/,
        );
        expect(status).toBe(0);
      },
      { rate: 2000 },
    ));

  test("ends with status 2 where nobody listens, and where the server speaks of something else with status 1", async () => {
    const nobody = await run("--connect", "ws://127.0.0.1:1");
    expect(nobody).toMatchObject({ status: 2, out: "" });
    expect(nobody.error).toBe("error: ws://127.0.0.1:1 cannot be followed: connect ECONNREFUSED 127.0.0.1:1\n");

    const greet = (socket: WebSocket) => {
      socket.send("hello");
      socket.close(1000);
    };
    await withPeer(greet, async (url) => {
      const { status, error } = await run("--connect", url);
      expect(status).toBe(1);
      expect(error).toContain("refused: message 1: not JSON: hello");
    });
  });

  test.each([
    [["--connect", "http://127.0.0.1"], /--connect.*ws:\/\//],
    [["--connect", "nonsense"], /--connect.*ws:\/\//],
    [["--connect", "ws://x", "--serve"], /--connect brings its own feed/],
    [["--connect", "ws://x", "feed.gz"], /--connect brings its own feed/],
    [["--connect", "ws://x", "--seed", "1"], /--connect brings its own feed/],
    [["--connect", "ws://x", "--rate", "5"], /--rate is for whoever serves/],
    [["--connect", "ws://x", "--passes", "5"], /--passes is for a feed in memory/],
    [["--serve", "--passes", "5"], /--passes is for a feed in memory/],
    [["--serve", "65536"], /--serve.*65535/],
    [
      ["--serve", "day1.gz"],
      /'day1.gz' is invalid. It must be .* 65535. A FILE comes before --serve, or after its PORT./,
    ],
  ])("%j is refused with a message and status 2", async (words, message) => {
    const { status, out, error } = await run(...words);
    expect(error).toMatch(message);
    expect(error).not.toMatch(/^\s+at /m);
    expect(status).toBe(2);
    expect(out).toBe("");
  });
});

test("reports of a connection that was lost are compared by their books only", async () => {
  const { findFaults } = await import("../../bench/replay/result.js");
  await withServer(generated(2000), async (server) => {
    const { report } = await followed("plain", { url: server.url("x"), verify: false });
    const lossy: SubjectReport = {
      ...report,
      name: "tidemark",
      connection: { ...report.connection!, connections: 2 },
      book: { ...report.book, counters: { ...report.book.counters, trades: 1 } },
    };
    expect(findFaults([lossy, report])).toEqual([]);
    expect(findFaults([{ ...lossy, book: { ...lossy.book, bids: [1, 1] } }, report])).toHaveLength(1);
  });
});
