/**
 * The neurons made by `Neuron.make`: their traces are held against the equations, written once more here as plain loops in double
 * precision, and their gradients against central differences of those loops in the smooth mode.
 */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { type Cell, unfold } from "../src/expressions/cell.ts"
import { encode, interpret, shared } from "../src/expressions/code.ts"
import * as E from "../src/expressions/expression.ts"
import * as S from "../src/index.ts"
import * as Layers from "../src/layers.ts"
import { runs } from "./properties/harness.ts"
import { expectNear, functionsOf, trace } from "./support.ts"

type Numbers = Readonly<Record<string, number>>
type Choice = "reset" | "decayInput" | "thresholdRelated"
type AnyNeuron = S.Neuron.NeuronLayer<string, string, Choice>

const neurons = Object.entries<unknown>(Layers).flatMap(([name, layer]) =>
  typeof layer === "function" && "definition" in layer ? [[name, layer as unknown as AnyNeuron] as const] : [],
)

/** One step as the papers have it: from the input, the states and the parameters, the new states and the output. */
type Plain = (
  x: number,
  s: Numbers,
  p: Numbers,
  spike: (z: number) => number,
  choices: Readonly<Partial<S.Neuron.Choices>>,
) => readonly [states: Numbers, output: number]

const n = (value: number | undefined): number => value as number

const resets = (
  reset: S.Neuron.Choices["reset"] | undefined,
  u: number,
  s: number,
  { threshold, resetPotential }: Numbers,
) => (reset === "soft" ? u - n(threshold) * s : reset === "hard" ? u * (1 - s) + n(resetPotential) * s : u)

const exponential = (v: number, { restingPotential, slopeFactor, rheobaseThreshold }: Numbers) =>
  n(restingPotential) - v + n(slopeFactor) * Math.exp((v - n(rheobaseThreshold)) / n(slopeFactor))

const leaky = (v: number, x: number, { tau, resetPotential }: Numbers, decayInput: boolean | undefined) =>
  decayInput ? v + (x - (v - n(resetPotential))) / n(tau) : v - (v - n(resetPotential)) / n(tau) + x

const plain: Readonly<Record<string, Plain>> = {
  adaptiveLif: (x, s, p, spike, { reset, decayInput }) => {
    const adaptation = n(p.adaptationDecay) * n(s.adaptation) + n(s.spike)
    const u = n(p.decay) * n(s.membrane) + x * (decayInput ? 1 - n(p.decay) : 1)
    const y = spike(u - (n(p.threshold) + n(p.strength) * adaptation))
    return [{ membrane: resets(reset, u, y, p), adaptation, spike: y }, y]
  },
  adEx: (x, s, p, spike) => {
    const [v, w] = [n(s.membrane), n(s.adaptation)]
    const u = v + (x - w + exponential(v, p)) / n(p.tau)
    const y = spike(u - n(p.threshold))
    const adaptation = w + (n(p.a) * (v - n(p.restingPotential)) - w) / n(p.adaptationTau) + n(p.b) * y
    return [{ membrane: resets("hard", u, y, p), adaptation }, y]
  },
  alphaSynapseLif: (x, s, p, spike, { reset, decayInput }) => {
    const tau = -1 / Math.log(n(p.currentDecay))
    const rise = n(p.currentDecay) * n(s.rise) + (Math.E / tau) * x
    const current = n(p.currentDecay) * (n(s.current) + n(s.rise))
    const u = n(p.decay) * n(s.membrane) + current * (decayInput ? 1 - n(p.decay) : 1)
    const y = spike(u - n(p.threshold))
    return [{ rise, current, membrane: resets(reset, u, y, p) }, y]
  },
  balancedResonateAndFire: (x, { membrane: u, imaginary: v, refractory: q }, p, spike) => {
    const [d, w] = [n(p.timeStep), n(p.frequency)]
    const b = (-1 + Math.sqrt(1 - (d * w) ** 2)) / d - n(p.dampingOffset) - n(q)
    const membrane = n(u) + b * n(u) * d - w * n(v) * d + x * d
    const imaginary = n(v) + w * n(u) * d + b * n(v) * d
    const y = spike(membrane - n(p.threshold) - n(q))
    return [{ membrane, imaginary, refractory: n(p.refractoryDecay) * n(q) + y }, y]
  },
  currentBasedLif: (x, s, p, spike, { reset, decayInput }) => {
    const current = n(p.currentDecay) * n(s.current) + x
    const u = n(p.decay) * n(s.membrane) + current * (decayInput ? 1 - n(p.decay) : 1)
    const y = spike(u - n(p.threshold))
    return [{ current, membrane: resets(reset, u, y, p) }, y]
  },
  currentBasedReadout: (x, s, p) => {
    const current = n(p.currentDecay) * n(s.current) + x
    const membrane = n(p.decay) * n(s.membrane) + current
    return [{ current, membrane }, membrane]
  },
  deltaEncoder: (x, s, p, spike) => {
    const change = x - n(s.sent)
    const y = change * spike(Math.abs(change) - n(p.threshold))
    return [{ sent: n(s.sent) + y }, y]
  },
  exponentialIntegrateAndFire: (x, s, p, spike, { reset }) => {
    const u = n(s.membrane) + (x + exponential(n(s.membrane), p)) / n(p.tau)
    const y = spike(u - n(p.threshold))
    return [{ membrane: resets(reset, u, y, p) }, y]
  },
  integrator: (x, s) => [{ membrane: n(s.membrane) + x }, n(s.membrane) + x],
  izhikevich: (x, s, p, spike) => {
    const w = n(s.recovery)
    let u = n(s.membrane)
    u += 0.5 * (0.04 * u * u + 5 * u + 140 - w + x)
    u += 0.5 * (0.04 * u * u + 5 * u + 140 - w + x)
    const y = spike(u - n(p.threshold))
    return [{ membrane: u * (1 - y) + n(p.c) * y, recovery: w + n(p.a) * (n(p.b) * u - w) + n(p.d) * y }, y]
  },
  klif: (x, s, p, spike, { reset, decayInput }) => {
    const u = Math.max(0, n(p.k) * leaky(n(s.membrane), x, p, decayInput))
    const y = spike(u - n(p.threshold))
    return [{ membrane: resets(reset, u, y, p) }, y]
  },
  liaf: (x, s, p, spike, { reset, decayInput, thresholdRelated }) => {
    const u = leaky(n(s.membrane), x, p, decayInput)
    const membrane = resets(reset, u, spike(u - n(p.threshold)), p)
    return [{ membrane }, Math.max(0, thresholdRelated ? u - n(p.threshold) : u)]
  },
  quadraticIntegrateAndFire: (x, s, p, spike, { reset }) => {
    const v = n(s.membrane)
    const u = v + (x + n(p.a0) * (v - n(p.restingPotential)) * (v - n(p.criticalPotential))) / n(p.tau)
    const y = spike(u - n(p.threshold))
    return [{ membrane: resets(reset, u, y, p) }, y]
  },
  resonateAndFire: (x, { current: i, membrane: v }, p, spike, { reset }) => {
    const current = n(i) + n(p.damping) * n(i) - n(p.frequency) * n(v) + x
    const u = n(v) + n(p.frequency) * n(i) + n(p.damping) * n(v)
    const y = spike(u - n(p.threshold))
    return [{ current: reset === "hard" ? current * (1 - y) : current, membrane: resets(reset, u, y, p) }, y]
  },
  seAdLif: (x, s, p, spike, { reset }) => {
    const u = n(p.decay) * n(s.membrane) + (1 - n(p.decay)) * (x - n(s.adaptation))
    const y = spike(u - n(p.threshold))
    const membrane = resets(reset, u, y, p)
    const drive = n(p.a) * membrane + n(p.b) * y
    return [{ membrane, adaptation: n(p.adaptationDecay) * n(s.adaptation) + (1 - n(p.adaptationDecay)) * drive }, y]
  },
  sigmaDelta: (x, s, p, spike) => {
    const sigma = n(s.sigma) + x
    const change = Math.max(0, sigma + n(p.bias)) - n(s.sent)
    const y = change * spike(Math.abs(change) - n(p.threshold))
    return [{ sigma, sent: n(s.sent) + y }, y]
  },
}

/** A refractory period as its own comment has it: it cannot fire, and its membrane stays, while the countdown lasts. */
const resting =
  (step: Plain): Plain =>
  (x, s, p, spike, choices) => {
    let fired = 0
    const counting = n(s.countdown) > 0
    const [states, output] = step(
      x,
      s,
      p,
      (z) => {
        fired = counting ? 0 : spike(z)
        return fired
      },
      choices,
    )
    const countdown = Math.max(n(p.refractoryPeriod) * fired, n(s.countdown) - 1)
    const membrane = counting && s.membrane !== undefined ? { membrane: s.membrane } : {}
    return [{ ...states, ...membrane, countdown }, counting ? 0 : output]
  }

const isReadout = ({ definition }: AnyNeuron) => definition.surrogate === "none"

/** All neurons, and those that fire with a refractory period too. */
const all = neurons.flatMap(([name, neuron]) => {
  const step = plain[name]
  if (step === undefined) return []
  const own = [{ name, neuron, step }]
  return isReadout(neuron)
    ? own
    : [
        ...own,
        { name: `${name}, refractory`, neuron: S.Neuron.refractory(neuron, 2) as AnyNeuron, step: resting(step) },
      ]
})

/** The parameters' numbers of a neuron unless told otherwise. */
const parametersOf = ({ definition }: AnyNeuron): Numbers =>
  Object.fromEntries(
    Object.entries(definition.parameters).map(([name, setting]) => {
      if (typeof setting === "number") return [name, setting]
      if ("learn" in setting && setting.learn.kind === "constant") return [name, setting.learn.value]
      throw new Error("a default that is drawn")
    }),
  )

const restOf = ({ definition: { states, initial } }: AnyNeuron): Numbers =>
  Object.fromEntries(states.map((state) => [state, initial?.[state] ?? 0]))

/** How large inputs are that make a neuron fire now and then; 1.6 where it is not said. */
const scales: ReadonlyArray<readonly [string, number]> = [
  ["izhikevich", 18],
  ["balanced", 60],
  ["seAd", 25],
  ["adEx", 6],
  ["currentBased", 0.25],
  ["alpha", 0.5],
]

const scaleOf = (name: string): number => scales.find(([start]) => name.startsWith(start))?.[1] ?? 1.6

/** Every state and the output at each step, by the loops above. */
const expected = (
  { neuron, step }: { readonly neuron: AnyNeuron; readonly step: Plain },
  inputs: ReadonlyArray<number>,
  spike: (z: number) => number,
  told: Readonly<Record<string, unknown>> = {},
) => {
  const choices = { ...neuron.definition.choices, ...told } as Partial<S.Neuron.Choices>
  const p = { ...parametersOf(neuron), ...told } as Numbers
  let states: Numbers = { ...restOf(neuron), ...(told.initial as Numbers | undefined) }
  return inputs.map((x) => {
    const [after, output] = step(x, states, p, spike, choices)
    states = after
    return { ...after, output }
  })
}

/** The same by the reference backend; a layer that puts out a state shows it. */
const found = (neuron: AnyNeuron, inputs: ReadonlyArray<number>, told: object = {}) => {
  const { definition } = neuron
  const rows = ["output", ...definition.states].map((shown) => {
    const probe = S.Neuron.make("probe", {
      ...definition,
      step: (given) => {
        const { states, output } = definition.step(given)
        return { states, output: shown === "output" ? output : E.of(states[shown] as E.Value) }
      },
    })
    const graph = S.Graph.makeUnsafe([1], S.Graph.named("n", probe(told as never)))
    const learnt = Object.fromEntries(
      graph.parameters.map(({ name }) => [name, [n(parametersOf(neuron)[name.slice(2)])]]),
    )
    return [shown, trace(graph, inputs, learnt)["value/n"] as Array<number>] as const
  })
  return Object.fromEntries(rows)
}

const inputsOf = (name: string) => {
  const values = [0.9, 1.3, -0.4, 0.7, 1.9, 1.9, 0.2, 1.6, -1.2, 0.8, 1.7, -0.7, 1.2, 0.03, 1.4]
  return values.map((value) => Math.fround(value * scaleOf(name)))
}

const heaviside = (z: number) => (z >= 0 ? 1 : 0)

test("every neuron has its equations here", () => {
  expect(neurons.map(([name]) => name).sort()).toEqual(Object.keys(plain).sort())
})

describe("traces match the equations", () => {
  const variants = all.flatMap((each) => {
    const choices = each.neuron.definition.choices ?? {}
    const told: ReadonlyArray<Readonly<Record<string, unknown>>> = [
      {},
      ...("reset" in choices ? (["soft", "hard", "none"] as const).map((reset) => ({ reset })) : []),
      ...("reset" in choices ? [{ reset: "hard", resetPotential: -0.25 }] : []),
      ...("decayInput" in choices ? [{ decayInput: true }, { decayInput: false }] : []),
      ...("thresholdRelated" in choices ? [{ thresholdRelated: false }] : []),
    ]
    return told.map((options) => ({ ...each, options, title: `${each.name} ${JSON.stringify(options)}` }))
  })
  test.each(variants)("$title", ({ name, neuron, step, options }) => {
    // Without a reset, what is quadratic or exponential goes to infinity.
    const steps =
      /reset":"(none|soft)/.test(JSON.stringify(options)) && /quadratic|exponential/.test(name) ? 3 : undefined
    const larger = name.startsWith("adaptive") && options.decayInput ? 6 : 1
    const inputs = inputsOf(name)
      .slice(0, steps)
      .map((x) => Math.fround(larger * x))
    const rows = expected({ neuron, step }, inputs, heaviside, options)
    const shown = found(neuron, inputs, options)
    for (const [state, values] of Object.entries(shown))
      expectNear(
        values,
        rows.map((row) => n((row as Numbers)[state])),
        2e-5,
      )
    const outputs = new Set(shown.output)
    // Both what fires and what does not is seen.
    if (!isReadout(neuron) && options.reset !== "none") expect(outputs.has(0) && outputs.size > 1).toBe(true)
  })
})

/** Outputs, and a state, of a neuron at each step. */
const shown = (neuron: object, inputs: ReadonlyArray<number>, told: object, state: string) => {
  const { output, [state]: values } = found(neuron as AnyNeuron, inputs, told)
  return { output, [state]: values }
}

describe("traces computed by hand", () => {
  test("current-based LIF: i = 1, 0.5, 0.75, 1.375", () => {
    const told = { currentDecay: 0.5, decay: 0.5 }
    expect(shown(S.currentBasedLif, [1, 0, 0.5, 1], told, "membrane")).toEqual({
      output: [1, 0, 1, 1],
      membrane: [0, 0.5, 0, 0.375],
    })
  })
  test("a decayed input is the current times 1 − λ: u = 1, 0.875, 1.5625", () => {
    const told = { currentDecay: 0.5, decay: 0.75, decayInput: true, reset: "hard", resetPotential: -0.5 }
    expect(shown(S.currentBasedLif, [4, 3, 3.5], told, "membrane")).toEqual({
      output: [1, 0, 1],
      membrane: [-0.5, 0.875, -0.5],
    })
  })
  test("adaptive LIF: the threshold is 1, 2, 1.5, 1.25", () => {
    const told = { decay: 0.5, adaptationDecay: 0.5, strength: 1 }
    expect(shown(S.adaptiveLif, [1, 1, 0.75, 1], told, "adaptation")).toEqual({
      output: [1, 0, 0, 1],
      adaptation: [0, 1, 0.5, 0.25],
    })
  })
  test("an α synapse: the current of a spike is e·(t/τ)·e^(−t/τ), which is 1 at t = τ", () => {
    const told = { currentDecay: Math.exp(-1 / 5), decay: 0 }
    const { current } = shown(S.alphaSynapseLif, [1, 0, 0, 0, 0, 0, 0, 0], told, "current")
    expectNear(
      current,
      [0, 1, 2, 3, 4, 5, 6, 7].map((t) => ((Math.E * t) / 5) * Math.exp(-t / 5)),
    )
    expect(current?.[5]).toBeCloseTo(1, 6)
  })
  test("SE-adLIF: the adaptation depends on the potential of the same step", () => {
    const told = { decay: 0.5, adaptationDecay: 0.5, a: 1, b: 1 }
    // u: 1, 0.75, 1.0625
    expect(shown(S.seAdLif, [2, 2, 2], told, "adaptation")).toEqual({
      output: [1, 0, 1],
      adaptation: [0.5, 0.625, 0.8125],
    })
  })
  test("quadratic: u = 0.5, 0.925, 1.4828125", () => {
    const { output, membrane } = shown(S.quadraticIntegrateAndFire, [1, 1, 1], {}, "membrane")
    expect(output).toEqual([0, 0, 1])
    expectNear(membrane, [0.5, 0.925, -0.1])
  })
  test("exponential: u = (1 + 0.2·e⁻⁴)/2 = 0.5018316, then 0.7734341 and 0.9742785", () => {
    const { output, membrane } = shown(S.exponentialIntegrateAndFire, [1, 1, 1, 1], {}, "membrane")
    expect(output).toEqual([0, 0, 0, 1])
    expectNear(membrane, [0.50183156, 0.77343407, 0.97427846, -0.1])
  })
  test("AdEx: w = 0.11 after a spike, subtracted from the input", () => {
    const told = { tau: 2, adaptationTau: 10, a: 0, rheobaseThreshold: 100 }
    const { output, membrane } = shown(S.adEx, [2, 1, 0], told, "membrane")
    expect(output).toEqual([1, 0, 0])
    expectNear(membrane, [0, (1 - 0.11) / 2, 0.445 + (-0.099 - 0.445) / 2])
  })
  test("Izhikevich at rest, without input: v = −66.5 after half a step", () => {
    const { membrane, recovery } = found(S.izhikevich as unknown as AnyNeuron, [0])
    expectNear(membrane, [-67.805])
    expectNear(recovery, [-13.01122])
  })
  test("Izhikevich, 200 ms with an input of 10: regular spiking, with a short first interval", () => {
    const { output } = found(S.izhikevich as unknown as AnyNeuron, Array(200).fill(10))
    const times = (output as ReadonlyArray<number>).flatMap((s, t) => (s === 1 ? [t] : []))
    const intervals = times.slice(1).map((t, i) => t - n(times[i]))
    expect(times.length).toBeGreaterThan(4)
    expect(n(times[0])).toBeLessThan(10)
    expect(Math.min(...intervals.slice(1))).toBeGreaterThan(1.5 * n(intervals[0]))
  })
  test("custom initial states", () => {
    const { membrane } = found(S.izhikevich as unknown as AnyNeuron, [0], { initial: { membrane: -60, recovery: -10 } })
    // v + ½·(144 − 300 + 140 + 10) = −63, then + ½·(158.76 − 315 + 150)
    expectNear(membrane, [-66.12])
  })
  test("resonate-and-fire: a spike resets to (0, 1)", () => {
    const told = { damping: -0.5, frequency: 0.5 }
    const trace = found(S.resonateAndFire as unknown as AnyNeuron, [4, 0, 0], told)
    expect(trace).toEqual({ output: [0, 1, 0], current: [4, 0, -0.5], membrane: [0, 1, 0.5] })
  })
  test("BRF: a spike raises the threshold and the damping", () => {
    const told = { timeStep: 0.5, frequency: 1.2, dampingOffset: 0.1 }
    const trace = found(S.balancedResonateAndFire as unknown as AnyNeuron, [4, 0, 0], told)
    // b = −0.5, −1.5, −1.4
    expect(trace.output).toEqual([1, 0, 0])
    expectNear(trace.membrane, [2, 0.5, -0.57])
    expectNear(trace.imaginary, [0, 1.2, 0.66])
    expectNear(trace.refractory, [1, 0.9, 0.81])
  })
  test("KLIF: k scales the potential, which is never negative", () => {
    expect(shown(S.klif, [1, 1, -4, 2], { k: 1.5 }, "membrane")).toEqual({
      output: [0, 1, 0, 1],
      membrane: [0.75, 0, 0, 0],
    })
  })
  test("LIAF: u = 1, 1.5, 0.5", () => {
    expect(shown(S.liaf, [2, 3, 1], {}, "membrane")).toEqual({ output: [0, 0.5, 0], membrane: [0, 0, 0.5] })
    expect(shown(S.liaf, [2, 3, 1], { thresholdRelated: false }, "membrane").output).toEqual([1, 1.5, 0.5])
  })
  test("read-outs", () => {
    expect(shown(S.integrator, [1, 2, -0.5], {}, "membrane").output).toEqual([1, 3, 2.5])
    const told = { currentDecay: 0.5, decay: 0.5 }
    expect(shown(S.currentBasedReadout, [1, 0, 2], told, "current")).toEqual({
      output: [1, 1, 2.75],
      current: [1, 0.5, 2.25],
    })
  })
  test("a delta encoder fires the change", () => {
    expect(shown(S.deltaEncoder, [1, 1.25, 1.5, 0.5], { threshold: 0.5 }, "sent")).toEqual({
      output: [1, 0, 0.5, -1],
      sent: [1, 1, 1.5, 0.5],
    })
  })
  test("sigma-delta: the sum of outputs tracks the activation within the threshold", () => {
    // σ + bias: 0.75, 1, −1, 0.5
    expect(shown(S.sigmaDelta, [1, 0.25, -2, 1.5], { threshold: 0.5, bias: -0.25 }, "sent")).toEqual({
      output: [0.75, 0, -0.75, 0.5],
      sent: [0.75, 0.75, 0, 0.5],
    })
  })
  test("a refractory period of two steps: the membrane is held, the current is updated", () => {
    const neuron = S.Neuron.refractory(S.currentBasedLif, 2) as unknown as AnyNeuron
    const trace = found(neuron, [1, 1, 1, 1, 0, 0], { currentDecay: 0.5, decay: 0.5 })
    expect(trace).toEqual({
      output: [1, 0, 0, 1, 0, 0],
      current: [1, 1.5, 1.75, 1.875, 0.9375, 0.46875],
      membrane: [0, 0, 0, 0.875, 0.875, 0.875],
      countdown: [2, 1, 0, 2, 1, 0],
    })
  })
  test("refractory periods of all neurons: no two spikes within one", () => {
    for (const { name, neuron } of all) {
      if (!name.endsWith("refractory") || name.startsWith("liaf")) continue
      const { output } = found(neuron, inputsOf(name), { refractoryPeriod: 3 })
      const times = (output as ReadonlyArray<number>).flatMap((s, t) => (s !== 0 ? [t] : []))
      for (const [i, t] of times.slice(1).entries()) expect(t - n(times[i])).toBeGreaterThan(3)
    }
  })
})

/** The cell of a neuron in which every parameter is a leaf. */
const cellOf = ({ definition }: AnyNeuron, surrogate: S.Surrogate.SurrogateOptions): Cell => {
  const { states, parameters, choices = {} } = definition
  const named = (names: ReadonlyArray<string>, leaf: (i: number) => string) =>
    Object.fromEntries(names.map((name, i) => [name, E.leaf(leaf(i))]))
  const { states: after, output } = definition.step({
    x: E.leaf("x0"),
    before: named(states, (k) => `s.${k}`),
    p: named(Object.keys(parameters), (j) => `p${j}`),
    choices: choices as S.Neuron.Choices,
    spike: (z) => E.fire(z, S.Surrogate.expressionOf(surrogate)),
  })
  const { code, places } = encode(shared([...states.map((state) => E.of(after[state] as E.Value)), output]))
  return {
    ...{ inputs: 1, parameters: Object.keys(parameters).length, states, code },
    ...{ initial: states.map((state) => definition.initial?.[state] ?? 0), smooth: true as const },
    ...{ next: places.slice(0, -1), output: places.at(-1) as number },
  }
}

type Leaves = Readonly<Record<string, number>>

/** Values of a code, from those of its leaves. */
const evaluate = (code: Cell["code"], wanted: ReadonlyArray<number>, leaves: Leaves): ReadonlyArray<number> => {
  const values: Array<number> = []
  interpret(
    code,
    wanted,
    1,
    (leaf, _, out) => out.fill(n(leaves[leaf])),
    (i, _, [value]) => {
      values[i] = n(value)
    },
  )
  return values
}

const leavesOf = (letter: string, values: ReadonlyArray<number>): Leaves =>
  Object.fromEntries(values.map((value, i) => [`${letter}${i}`, value]))

/** Gradients of the weighted sum of all outputs by inputs and parameters: the backward code, from the last step to the first. */
const backward = (cell: Cell, x: ReadonlyArray<number>, p: ReadonlyArray<number>, weights: ReadonlyArray<number>) => {
  const { forward, rest, backward } = unfold(cell)
  const parameters = leavesOf("p", p)
  const states = [rest]
  for (const value of x)
    states.push(
      evaluate(forward.code, forward.state, { x0: value, ...leavesOf("before.", n_(states.at(-1))), ...parameters }),
    )
  const wanted = { isCut: () => false, output: true, carried: true, inputs: [true], parameters: p.map(() => true) }
  const { code, carry, dx, dp } = backward(wanted)
  let arriving: ReadonlyArray<number> = carry.map(() => 0)
  const found = { x: x.map(() => 0), p: p.map(() => 0) }
  for (let t = x.length - 1; t >= 0; t--) {
    const values = evaluate(code, [...carry, ...dx, ...dp], {
      ...{ x0: n(x[t]), dy: n(weights[t]) },
      ...leavesOf("before.", n_(states[t])),
      ...leavesOf("state.", n_(states[t + 1])),
      ...leavesOf("carry.", arriving),
      ...parameters,
    })
    arriving = values.slice(0, carry.length)
    found.x[t] = n(values[carry.length])
    values.slice(carry.length + 1).forEach((value, j) => {
      found.p[j]! += value
    })
  }
  return found
}

const n_ = (values: ReadonlyArray<number> | undefined): ReadonlyArray<number> => values as ReadonlyArray<number>

/** Number j moved by d. */
const moved = (values: ReadonlyArray<number>, j: number, d: number) =>
  values.map((value, i) => (i === j ? value + d : value))

describe("smooth mode: reverse mode equals central differences of the equations", () => {
  test.each(all)("$name", ({ name, neuron, step }) => {
    const { definition } = neuron
    // The width of a spike in millivolts, of a potential of about 1 elsewhere.
    const surrogate: S.Surrogate.SurrogateOptions = { name: "sigmoid", alpha: name.startsWith("izhikevich") ? 0.05 : 4 }
    const { primitive } = functionsOf(surrogate)
    const cell = cellOf(neuron, surrogate)
    const names = Object.keys(definition.parameters)
    const usual = names.map((each) => n(parametersOf(neuron)[each]))
    let moving = 0
    // Nowhere 0, where what is not negative has a kink.
    const number = fc.integer({ min: 0, max: 9999 }).map((i) => (i - 2500.5) / 5000)
    const weight = fc.integer({ min: 1, max: 4 }).map((i) => i / 4)
    const many = <A>(of: fc.Arbitrary<A>) => fc.array(of, { minLength: 5, maxLength: 5 })
    fc.assert(
      fc.property(many(number), many(weight), (drawn, weights) => {
        const x = drawn.map((value) => Math.fround(value * scaleOf(name)))
        const p = usual.map(Math.fround)
        const sum = (x: ReadonlyArray<number>, p: ReadonlyArray<number>) => {
          const told = Object.fromEntries(names.map((each, j) => [each, n(p[j])]))
          return expected({ neuron, step }, x, primitive, told).reduce(
            (all, { output }, t) => all + n(weights[t]) * output,
            0,
          )
        }
        const slope = (at: (d: number) => number, h: number) =>
          (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        const found = backward(cell, x, p, weights)
        const differences = {
          x: x.map((_, t) => slope((d) => sum(moved(x, t, d), p), 1e-6 * scaleOf(name))),
          p: p.map((value, j) => slope((d) => sum(x, moved(p, j, d)), 1e-6 * Math.max(0.1, Math.abs(value)))),
        }
        // Counts of a refractory period are whole numbers: no gradient flows through them.
        for (const [each, slopes] of Object.entries(differences)) {
          const by = found[each as "x" | "p"]
          const most = Math.max(...slopes.map(Math.abs), 1e-3)
          slopes.forEach((value, i) => {
            const close = Math.abs(n(by[i]) - value) <= 2e-3 * Math.max(Math.abs(value), 0.05 * most) + 1e-5
            if (!close) expect({ each, by, slopes }).toEqual({ each, by: slopes, slopes })
          })
          if (most > 1e-3) moving++
        }
      }),
      runs(20),
    )
    expect(moving).toBeGreaterThan(10)
  })
})

test("graphs of all neurons, with fixed and trained parameters, survive JSON", () => {
  for (const { neuron } of all) {
    const names = Object.keys(neuron.definition.parameters).slice(0, 3)
    const told = names.map((name, i) => {
      const value = n(parametersOf(neuron)[name])
      return [name, i === 0 ? S.Neuron.learn(value, "channel") : i === 1 ? Array(4).fill(value) : value]
    })
    const graph = S.Graph.makeUnsafe([3, 4], S.Graph.sequential(neuron(Object.fromEntries(told)), S.flatten()))
    const read = Effect.runSync(S.Graph.fromJson(JSON.parse(JSON.stringify(S.Graph.toJson(graph)))))
    expect(read).toStrictEqual(graph)
    expect(graph.nodes.at(-2)?.attributes.states).toEqual(neuron.definition.states)
  }
})

test("policies cut states by name; an error for an unknown one lists them", () => {
  const graph = S.Graph.makeUnsafe(
    [4],
    S.Graph.sequential(S.linear({ features: 3 }), S.izhikevich(), S.linear({ features: 2 })),
  )
  const options = { batchSize: 1, timeSteps: 2, loss: S.defaultLoss, optimizer: S.Optimizer.sgd() }
  const compile = (edge: string) =>
    Effect.runSync(Effect.result(S.Program.compile(graph, S.Policy.bptt.pipe(S.Policy.detach(edge)), options)))
  for (const edge of ["membrane", "recovery", "reset"]) expect(compile(edge)._tag).toBe("Success")
  expect(compile("adaptation")).toMatchObject({ failure: { _tag: "PolicyError" } })
})

test("a refractory period requires a spiking neuron and at least one step", () => {
  expect(() => S.Neuron.refractory(S.currentBasedLif, 0)).toThrow(
    expect.objectContaining({ _tag: "OptionError", option: "steps" }),
  )
  const readout = S.Neuron.refractory(S.integrator as unknown as AnyNeuron, 1)
  expect(() => S.Graph.makeUnsafe([1], readout())).toThrow(expect.objectContaining({ _tag: "GraphError" }))
})
