import { expect, test } from "bun:test"
import { Backend, Program } from "@spikeroute/core"
import { Arbitrary } from "@spikeroute/core/testing"
import { Effect } from "effect"
import * as fc from "fast-check"
import { layer } from "../src/index.ts"

test("every program allocates exactly the planned bytes", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, choice) => {
      const policy = Arbitrary.policyOf(choice, workload)
      const taken = Effect.gen(function* () {
        const program = yield* Program.compile(Arbitrary.graphOf(workload), policy, Arbitrary.optionsOf(workload))
        const { allocatedBytes } = yield* (yield* Backend).prepare(program)
        return { planned: Program.cost(program).peakBytes, allocated: allocatedBytes() }
      })
      const { planned, allocated } = Effect.runSync(Effect.scoped(taken).pipe(Effect.provide(layer)))
      expect(allocated).toBe(planned)
    }),
    { seed: 20230817, numRuns: 200 },
  )
})
