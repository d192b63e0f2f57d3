import { describe, expect, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { configurations, unavailable } from "./configurations.ts"

for (const { name, run } of configurations())
  describe(name, () => {
    for (const { name, run: conforms } of Conformance.cases({ memory: "own" })) test(name, () => run(conforms))
  })

if (unavailable !== undefined)
  test("if it cannot be built, the error says what to do", () => expect(unavailable).toContain("set CC"))
