/**
 * On a smooth network, where neurons fire s = G(u − threshold) with G the surrogate's primitive, the true gradient exists. BPTT
 * must be that gradient, which central differences of a float64 forward direction give without any backward direction at all.
 */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { Key, Policy } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, expectAgreement, onSteadyTape, onTape, rounding, runs, train } from "./harness.ts"

test("on smooth networks, bptt equals the tape's gradient", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.boolean(), (workload, hoist) => {
      const settings = { graph: Arbitrary.graphOf(workload, { smooth: true }), hoist }
      const tape = onSteadyTape(workload, Policy.bptt, settings)
      // What is no spike counts into no firing rate.
      expectAgreement(train(workload, Policy.bptt, settings), { ...tape, firingRates: [] })
    }),
    runs(400),
  )
}, 60_000)

test("on smooth networks, bptt equals central differences in a random direction of each parameter", () => {
  const epsilon = 3e-6
  let [compared, ofCells] = [0, 0]
  fc.assert(
    fc.property(Arbitrary.workload(), Arbitrary.policy(), (workload, { steps }) => {
      const graph = Arbitrary.graphOf(workload, { smooth: true })
      const policy = Arbitrary.policyOf(
        { detached: [], window: 0, trace: 0, checkpoint: 0, recompute: false, steps },
        workload,
      )
      const parameters = Arbitrary.parametersOf(graph, workload)
      const tape = onSteadyTape(workload, policy, { graph })
      fc.pre(tape.margin > 1e-3)
      const { gradients } = train(workload, policy, { graph })
      const found = { differences: new Map(), tape: new Map(), core: new Map(), magnitudes: new Map() }
      for (const [name, gradient] of gradients) {
        const values = Array.from(parameters.get(name)!)
        const key = Key.fold(Key.make(workload.seed), "direction", name)
        const drawn = Key.normal(key, new Float32Array(values.length))
        const direction = Array.from(drawn, (d) => d / Math.hypot(...drawn))
        const objective = (distance: number) => {
          const moved = values.map((value, i) => value + distance * direction[i]!)
          const settings = { graph, parameters: new Map<string, ArrayLike<number>>([...parameters, [name, moved]]) }
          return onTape(workload, policy, settings).objective
        }
        const along = (slopes: ArrayLike<number>) => [direction.reduce((sum, d, i) => sum + d * slopes[i]!, 0)]
        found.differences.set(name, [(objective(epsilon) - objective(-epsilon)) / (2 * epsilon)])
        found.tape.set(name, along(tape.gradients.get(name)!))
        found.core.set(name, along(gradient))
        found.magnitudes.set(name, [
          direction.reduce((sum, d, i) => sum + Math.abs(d) * tape.magnitudes.get(name)![i]!, 0),
        ])
        if (Math.abs(found.differences.get(name)[0]) > 1e-4) compared++
        if (/cell|Lif/.test(name) && Math.abs(found.differences.get(name)[0]) > 1e-4) ofCells++
      }
      expect(deviation(found.tape, found.differences, found.magnitudes, 1e-3)).toBeLessThan(1e-5)
      expect(deviation(found.core, found.differences, found.magnitudes, 1e-3)).toBeLessThan(rounding)
    }),
    runs(150),
  )
  expect(compared).toBeGreaterThan(150)
  expect(ofCells).toBeGreaterThan(15)
}, 60_000)
