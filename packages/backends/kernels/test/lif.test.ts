/** Which neuron instructions have a fast path. */
import { expect, test } from "bun:test"
import { defaultLoss, Graph, lif, linear, Neuron, Optimizer, Policy, Program, plif, Surrogate } from "@spikeroute/core"
import { Effect } from "effect"
import { fastPathOf } from "../src/lif.ts"

/** The fast path of each leaky-neuron instruction. */
const pathsOf = (layer: Graph.Layer, policy: Policy.Policy) => {
  const graph = Graph.makeUnsafe([4], Graph.sequential(linear({ features: 5 }), layer, linear({ features: 3 })))
  const options = { batchSize: 2, timeSteps: 3, loss: defaultLoss, optimizer: Optimizer.sgd() }
  const { segments, buffers } = Effect.runSync(Program.compile(graph, policy, options))
  const steps = [...segments.train, ...segments.keep, ...segments.backward]
  return steps
    .filter(({ kernel, node }) => kernel.startsWith("elementwise") && node === "1")
    .map((instruction) => fastPathOf(instruction, buffers))
}

const float = (value: number) => ({ float: Math.fround(value) })

test.each([Policy.sltt, Policy.bptt, Policy.bptt.pipe(Policy.detach("reset"))])("of LIF: $name", (policy) => {
  const crosses = policy.name !== "sltt"
  for (const [r, reset] of (["soft", "hard", "none"] as const).entries())
    for (const [threshold, alpha] of [
      [1, 1],
      [0.3, 1.7],
    ] as const)
      for (const tau of [1.25, Number.POSITIVE_INFINITY]) {
        const layer = lif({ tau, reset, threshold, surrogate: { name: "triangle", alpha } })
        const routed = crosses && reset !== "none" && !policy.name.includes("detach")
        const own = [r, float(1 - 1 / tau), float(threshold)]
        const backward = [
          // Within one step, the code contains neither decay nor reset, nor a soft reset that carries no gradient.
          ...(crosses ? [reset === "hard" ? 1 : 0, ...own.slice(1)] : [0, float(1), float(threshold)]),
          ...[float(alpha), float(alpha * alpha), routed ? 1 : 0, 0],
        ]
        expect(pathsOf(layer, policy)).toEqual([
          { kernel: "lif.forward", attributes: own },
          { kernel: "lif.backward", attributes: backward },
        ])
      }
})

test("a single learnt decay is an operand of the forward path; per-channel decays, its gradient, other surrogates and smooth spikes are interpreted", () => {
  const hetero = Neuron.make("hetero", {
    parameters: { decay: Neuron.learn(0.5, "channel") },
    states: ["membrane"],
    step: ({ x, before, p, spike }) => {
      const u = before.membrane.times(p.decay).plus(x)
      const output = spike(u.minus(1))
      return { states: { membrane: Neuron.afterReset("soft", u, output, 1) }, output }
    },
  })
  expect(pathsOf(hetero(), Policy.bptt)).toEqual([undefined, undefined])
  expect(pathsOf(hetero({ decay: 0.5 }), Policy.bptt)[0]?.kernel).toBe("lif.forward")
  const [forward, backward] = pathsOf(plif(), Policy.bptt)
  expect(forward).toEqual({ kernel: "lif.forward", attributes: [0, float(0), float(1)] })
  expect(backward).toBeUndefined()
  for (const name of Surrogate.surrogateNames)
    if (name !== "triangle")
      expect(pathsOf(lif({ surrogate: Surrogate.defaults[name] }), Policy.bptt)[1]).toBeUndefined()
  expect(pathsOf(lif({ smooth: true }), Policy.sltt)[0]).toBeUndefined()
})
