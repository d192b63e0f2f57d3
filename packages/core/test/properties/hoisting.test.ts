/** What does not change over time leaves the time loop, and nothing else changes. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, drawn, expectSameForward, onTape, runs, train } from "./harness.ts"

test("hoisting leaves the forward direction bit-identical, and gradients equal up to the order of sums", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, choice) => {
      const policy = Arbitrary.policyOf(choice, workload)
      const hoisted = train(workload, policy)
      const repeated = train(workload, policy, { hoist: false })
      expectSameForward(hoisted, repeated)
      const { magnitudes } = onTape(workload, policy)
      expect(deviation(hoisted.gradients, repeated.gradients, magnitudes)).toBeLessThan(1e-5)
    }),
    runs(400),
  )
}, 60_000)

test("hoisting never adds operations, and saves some if a layer before the first neuron reads a static image", () => {
  let saved = 0
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, choice) => {
      const policy = Arbitrary.policyOf(choice, workload)
      const steps = drawn(policy, workload)
      const { program: hoisted } = train(workload, policy)
      const { program: repeated } = train(workload, policy, { hoist: false })
      const [less, more] = [hoisted, repeated].map((program) => Program.cost(program, steps).forward.multiplications)
      expect(less).toBeLessThanOrEqual(more!)
      if (less! < more!) saved++
    }),
    runs(100),
  )
  expect(saved).toBeGreaterThan(20)
}, 60_000)
