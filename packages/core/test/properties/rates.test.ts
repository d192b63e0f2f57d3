/** Rate-based backpropagation against the tape, which differentiates each neuron's mean output by what is added to its input. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { lagOf } from "../../src/graph/nodes.ts"
import { Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, expectAgreement, onSteadyTape, onTape, programOf, rounding, runs, train } from "./harness.ts"

/** Workloads without values of earlier steps, of which rates say nothing. */
const workloads = (options?: Parameters<typeof Arbitrary.workload>[0]) =>
  Arbitrary.workload(options).filter((workload) => !Arbitrary.graphOf(workload).nodes.some((node) => lagOf(node)))

const detached = fc.subarray(["membrane", "reset"])

test("gradients of rates equal the tape's, for edges cut and not cut", () => {
  fc.assert(
    fc.property(workloads({ maxTimeSteps: 4 }), detached, fc.boolean(), (workload, edges, hoist) => {
      const policy = Policy.rate.pipe(Policy.detach(...edges))
      const tape = onSteadyTape(workload, policy)
      expectAgreement(train(workload, policy, { hoist }), tape)
    }),
    runs(50),
  )
}, 60_000)

test("at one time step, rate equals bptt", () => {
  fc.assert(
    fc.property(workloads({ maxTimeSteps: 1 }), (workload) => {
      const rate = train(workload, Policy.rate)
      const bptt = train(workload, Policy.bptt)
      const { magnitudes, margin } = onTape(workload, Policy.bptt)
      fc.pre(margin > 1e-4)
      expect(deviation(rate.gradients, bptt.gradients, magnitudes)).toBeLessThan(rounding)
      expect(rate.loss).toBeCloseTo(bptt.loss, 5)
      expect(rate.outputs).toEqual(bptt.outputs)
      expect(rate.statistics).toEqual(bptt.statistics)
    }),
    runs(60),
  )
}, 60_000)

test("memory and backward cost do not depend on T", () => {
  fc.assert(
    fc.property(workloads(), fc.integer({ min: 3, max: 40 }), (workload, timeSteps) => {
      const of = (T: number) => programOf({ ...workload, timeSteps: T }, Policy.rate)
      const [short, long] = [of(2), of(timeSteps)]
      expect(long.arenaBytes).toBe(short.arenaBytes)
      expect(Program.cost(long).backward).toEqual(Program.cost(short).backward)
    }),
    runs(40),
  )
})
