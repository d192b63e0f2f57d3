/**
 * On a smooth network, where neurons fire s = G(u − threshold) with G the surrogate's primitive, the true gradient exists. BPTT
 * must be that gradient, which central differences of a float64 forward direction give without any backward direction at all.
 */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { Key, Policy } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectAgreement, onTape, runs, train } from "./harness.ts"

test("on the smooth network bptt is the tape's gradient", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.boolean(), (workload, hoist) => {
      const settings = { graph: Arbitrary.graphOf(workload, { smooth: true }), hoist }
      const tape = onTape(workload, Policy.bptt, settings)
      fc.pre(tape.margin > 1e-4)
      // What is no spike counts into no firing rate.
      expectAgreement(train(workload, Policy.bptt, settings), { ...tape, firingRates: [] })
    }),
    runs(400),
  )
}, 60_000)

test("on the smooth network bptt is central differences, in a random direction of each parameter", () => {
  const epsilon = 1e-6
  let compared = 0
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, { steps }) => {
      const graph = Arbitrary.graphOf(workload, { smooth: true })
      const policy = Arbitrary.policyOf({ detached: [], window: 0, steps }, workload.timeSteps)
      const parameters = Arbitrary.parametersOf(graph, workload)
      const tape = onTape(workload, policy, { graph })
      fc.pre(tape.margin > 1e-3)
      const { gradients } = train(workload, policy, { graph })
      const scale = Math.max(1e-6, ...[...tape.gradients.values()].flat().map(Math.abs))
      for (const { name, role } of graph.parameters) {
        if (role !== "weight") continue
        const values = Array.from(parameters.get(name)!)
        const direction = Key.normal(
          Key.fold(Key.make(workload.seed), "direction", name),
          new Float32Array(values.length),
        )
        const length = Math.hypot(...direction)
        const objective = (distance: number) => {
          const moved = values.map((value, i) => value + (distance * direction[i]!) / length)
          return onTape(workload, policy, {
            graph,
            parameters: new Map<string, ArrayLike<number>>([...parameters, [name, moved]]),
          }).objective
        }
        const difference = (objective(epsilon) - objective(-epsilon)) / (2 * epsilon)
        const along = (gradient: ArrayLike<number>) =>
          direction.reduce((total, d, i) => total + (d * gradient[i]!) / length, 0)
        const most = Math.max(scale / 10, ...tape.gradients.get(name)!.map(Math.abs)) * Math.sqrt(values.length)
        expect(Math.abs(along(tape.gradients.get(name)!) - difference) / most).toBeLessThan(1e-5)
        expect(Math.abs(along(gradients.get(name)!) - difference) / most).toBeLessThan(3e-4)
        if (Math.abs(difference) > 1e-3 * scale) compared++
      }
    }),
    runs(150),
  )
  expect(compared).toBeGreaterThan(150)
}, 60_000)
