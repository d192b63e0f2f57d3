import { describe, expect, test } from "bun:test"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { configurations, layer, unavailable } from "./configurations.ts"

for (const [name, options] of configurations)
  describe(`native with ${name}`, () => {
    const backend = layer(options)
    for (const { name, run } of Conformance.cases({ memory: "own" }))
      test(name, () => Effect.runPromise(run.pipe(Effect.provide(backend))))
  })

if (unavailable !== undefined)
  test("where it cannot be built, it says what to do", () => expect(unavailable).toContain("set CC"))
