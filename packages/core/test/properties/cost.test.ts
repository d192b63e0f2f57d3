/** What a batch costs, known from its program alone. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { drawn, programOf, runs } from "./harness.ts"

const costOf = (workload: Arbitrary.Workload, policy: Policy.Policy, timeSteps: number) =>
  Program.cost(programOf({ ...workload, timeSteps }, policy))

test("the backward cost of slttK depends only on K, not on T or the drawn steps", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.integer({ min: 1, max: 6 }), fc.nat({ max: 30 }), (workload, k, more) => {
      const policy = Policy.slttK(k)
      const least = costOf(workload, policy, k).backward
      expect(costOf(workload, policy, k + more).backward).toEqual(least)
      expect(least).toEqual(costOf(workload, Policy.sltt, k).backward)
      const longer = { ...workload, timeSteps: k + more }
      expect(Program.cost(programOf(longer, policy), drawn(policy, longer)).backward).toEqual(least)
    }),
    runs(200),
  )
}, 60_000)

test("slttK costs the same for each of its K steps; bptt's backward cost grows with T", () => {
  let cheaper = 0
  fc.assert(
    fc.property(Arbitrary.workload(), fc.integer({ min: 4, max: 20 }), (workload, timeSteps) => {
      const backward = (policy: Policy.Policy, T = timeSteps) => {
        const { multiplications, additions, spikeOperations } = costOf(workload, policy, T).backward
        return multiplications + additions + spikeOperations
      }
      const [one, two, three] = [1, 2, 3].map((k) => backward(Policy.slttK(k)))
      expect(three! - two!).toBe(two! - one!)
      expect(one!).toBeLessThanOrEqual(two!)
      expect(backward(Policy.bptt, timeSteps + 1)).toBeGreaterThanOrEqual(backward(Policy.bptt))
      expect(backward(Policy.bptt)).toBeGreaterThanOrEqual(backward(Policy.sltt))
      if (backward(Policy.slttK(1)) < backward(Policy.bptt)) cheaper++
    }),
    runs(100),
  )
  expect(cheaper).toBeGreaterThan(60)
}, 60_000)

test("the forward cost is equal for all policies, and at most doubles with checkpoints", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, choice) => {
      const { timeSteps } = workload
      const forward = (policy: Policy.Policy) => costOf(workload, policy, timeSteps).forward
      const once = forward(Policy.bptt)
      expect(forward(Arbitrary.policyOf({ ...choice, checkpoint: 0 }, workload))).toEqual(once)
      const more = forward(Arbitrary.policyOf(choice, workload))
      for (const operations of ["multiplications", "additions", "spikeOperations"] as const) {
        expect(more[operations]).toBeGreaterThanOrEqual(once[operations])
        expect(more[operations]).toBeLessThanOrEqual(2 * once[operations])
      }
    }),
    runs(100),
  )
}, 60_000)
