import { describe, expect, test } from "vitest";
import { createDouble } from "./createDouble.ts";
import { DoubleError } from "./expectations.ts";

interface Post {
  readonly send: (to: string, letters: number) => Promise<{ readonly id: string }>;
  readonly count: () => number;
  readonly address: string;
}
const createPost = () => createDouble<Post>("post", ["send", "count"]);

describe("a double", () => {
  test("answers what the test says, and keeps what it was asked", async () => {
    const post = createPost();
    post.expects("send", async (to, letters) => ({ id: `${to}:${letters}` }), 2);
    expect([await post.module.send("ann", 1), await post.module.send("bob", 2)]).toEqual([
      { id: "ann:1" },
      { id: "bob:2" },
    ]);
    expect(post.callsOf("send")).toEqual([
      ["ann", 1],
      ["bob", 2],
    ]);
    expect(() => post.verify()).not.toThrow();
  });

  test("fails a call that nobody expects, also when the caller swallows it", () => {
    const post = createPost();
    expect(() => post.module.count()).toThrow(DoubleError);
    expect(() => post.verify()).toThrow("post.count was called, and nobody expects it");
  });

  test("fails one call too many, and tells of those that never came", () => {
    const post = createPost();
    post.expects("count", () => 1, 1);
    post.expects("send", async () => ({ id: "a" }));
    post.module.count();
    expect(() => post.module.count()).toThrow("post.count was called more than 1 times");
    expect(() => post.verify()).toThrow("post.send was called 0 times, not at least 1");
  });

  test("knows nothing of the test before", () => {
    const post = createPost();
    post.expects("count", () => 1, 3);
    expect(() => post.verify()).toThrow("post.count was called 0 times, not 3");
    expect(() => post.verify()).not.toThrow();
    expect(() => post.module.count()).toThrow(DoubleError);
  });
});
