/** Examples for the kernels of neurons. */
import { type Reset, ResetSchema } from "../../../neurons/reset.ts"
import type { Shape } from "../../../shape.ts"
import { defaults, type SurrogateName, surrogateNames } from "../../../surrogates/index.ts"
import {
  constant,
  cycle,
  type Draw,
  type Example,
  type Examples,
  extreme,
  huge,
  type Kind,
  normal,
  notFinite,
  ordinary,
  output,
} from "../example.ts"

const resets: ReadonlyArray<Reset> = ResetSchema.literals

const shapes: ReadonlyArray<Shape> = [
  [1, 1],
  [3, 5],
  [1, 3, 5, 7],
  [2, 3, 2, 33],
]

const usual = shapes[2] as Shape

interface Neuron {
  readonly kind?: Kind
  readonly shape?: Shape
  readonly reset?: Reset
  readonly threshold?: number
  readonly decay?: number
  /** The decay is an operand, as where it is learnt. */
  readonly learnt?: boolean
  readonly surrogate?: SurrogateName
  readonly smooth?: boolean
  readonly x?: Draw
  readonly before?: Draw
}

const attributesOf = (neuron: Neuron) => {
  const { reset = "soft", threshold = 1, decay = 0.5, learnt = false, surrogate = "triangle", smooth = false } = neuron
  return {
    threshold,
    reset,
    surrogate: defaults[surrogate],
    ...(learnt ? {} : { decay }),
    ...(smooth ? { smooth } : {}),
  }
}

const label = (neuron: Neuron): string => {
  const { reset = "soft", threshold = 1, decay = 0.5, learnt = false, surrogate = "triangle", smooth = false } = neuron
  return `${reset} reset, threshold ${threshold}, ${learnt ? "learnt " : ""}decay ${decay}, ${smooth ? "smooth " : ""}${surrogate}`
}

const forward = (neuron: Neuron, note = ""): ReadonlyArray<Example> => {
  const { kind = ordinary[0] as Kind, shape = usual, decay = 0.5, learnt, smooth } = neuron
  const example = {
    name: `${note || `${kind[0]} ${shape.join("×")}`}; ${label(neuron)}`,
    attributes: attributesOf(neuron),
    operands: {
      x: neuron.x ?? kind[1](shape),
      before: neuron.before ?? normal(shape, 1.5),
      ...(learnt ? { decay: cycle([], decay) } : {}),
      membrane: output(shape),
      spikes: output(shape, smooth ? "float32" : "spikes"),
    },
  }
  return [example, { ...example, name: `${example.name}, in place`, shared: ["before", "membrane"] }]
}

/** Exactly at the threshold a neuron fires, one float32 number below it does not. */
const border = [1, 0.99999994, 1.0000001, 0, -1, 2, 0.5, 1.5]

/** Images that windows tile, and some of which a rest is left. */
const pools: ReadonlyArray<readonly [Shape, number]> = [
  [[2, 4, 6, 33], 2],
  [[3, 12, 28, 64], 2],
  [[1, 5, 7, 3], 2],
  [[2, 5, 4, 17], 3],
]

const pooled = ([batch, height, width, channels]: Shape, size: number): Shape =>
  [batch, Math.floor((height as number) / size), Math.floor((width as number) / size), channels] as Shape

interface Backward extends Neuron {
  readonly carry?: boolean
  readonly outputGradient?: boolean
  readonly resetGradient?: boolean
  readonly inputGradient?: boolean
  readonly membrane?: Draw
  /** The output gradient is that of a pool. */
  readonly pool?: number
}

const backward = (neuron: Backward, note = ""): Example => {
  const { shape = usual, decay = 0.5, learnt = false, carry = true, outputGradient = true } = neuron
  const { resetGradient = true, inputGradient = true, pool } = neuron
  const parts = [
    label(neuron),
    carry ? (resetGradient ? "carry, reset" : "carry") : "no carry",
    ...(outputGradient ? [] : ["no output gradient"]),
    ...(inputGradient ? [] : ["no input gradient"]),
    ...(pool ? [`behind a pool of ${pool}×${pool}`] : []),
  ]
  return {
    name: `${note || shape.join("×")}; ${parts.join(", ")}`,
    attributes: { ...attributesOf(neuron), resetGradient, ...(pool ? { pool } : {}) },
    operands: {
      membrane: neuron.membrane ?? normal(shape, 1.5),
      ...(outputGradient ? { outputGradient: normal(pool ? pooled(shape, pool) : shape) } : {}),
      ...(carry ? { carry: normal(shape) } : {}),
      ...(learnt ? { before: normal(shape, 1.5), decay: cycle([], decay), decayGradient: output([]) } : {}),
      ...(inputGradient ? { inputGradient: output(shape) } : {}),
    },
  }
}

const readout = ([kind, x]: Kind, shape: Shape, decay: number): ReadonlyArray<Example> => {
  const example = {
    name: `${kind} ${shape.join("×")}, decay ${decay}`,
    attributes: { decay },
    operands: { x: x(shape), before: normal(shape), membrane: output(shape), y: output(shape) },
  }
  return [example, { ...example, name: `${example.name}, in place`, shared: ["before", "membrane"] }]
}

const decays: ReadonlyArray<readonly [string, Draw]> = [0, 1, -3, 30, -30, 200, -200].map((w) => [
  `w = ${w}`,
  cycle([], w),
])

export const neurons = {
  "neuron.forward": [
    ...resets.flatMap((reset) =>
      [0, 0.09, 1].flatMap((decay) => [0.5, 1].flatMap((threshold) => forward({ reset, decay, threshold }))),
    ),
    ...shapes.flatMap((shape) => ordinary.flatMap((kind) => forward({ shape, kind }))),
    ...[...extreme, huge, ...notFinite].flatMap((kind) => resets.flatMap((reset) => forward({ kind, reset }))),
    ...resets.flatMap((reset) => forward({ reset, learnt: true, decay: 0.3 })),
    ...resets.flatMap((reset) =>
      forward({ reset, x: cycle(usual, ...border), before: constant(usual, 0) }, "at the threshold"),
    ),
    ...resets.flatMap((reset) =>
      forward({ reset, x: constant(usual, 0), before: cycle(usual, ...border) }, "reset at the threshold"),
    ),
    ...surrogateNames.flatMap((surrogate) => resets.flatMap((reset) => forward({ surrogate, reset, smooth: true }))),
  ],
  "neuron.backward": [
    ...surrogateNames.flatMap((surrogate) =>
      resets.flatMap((reset) => [
        backward({ surrogate, reset, carry: false }),
        backward({ surrogate, reset, resetGradient: false }),
        backward({ surrogate, reset }),
        backward({ surrogate, reset, outputGradient: false }),
        backward({ surrogate, reset, learnt: true, decay: 0.3 }),
        backward({ surrogate, reset, smooth: true }),
      ]),
    ),
    ...shapes.map((shape) => backward({ shape, decay: 0.09, threshold: 0.5 })),
    ...pools.flatMap(([shape, pool]) => [
      backward({ shape, pool, carry: false }),
      backward({ shape, pool }),
      backward({ shape, pool, learnt: true, decay: 0.3 }),
    ]),
    backward({ learnt: true, carry: false, inputGradient: false }),
    backward({ learnt: true, inputGradient: false }),
    ...surrogateNames.flatMap((surrogate) => [
      backward({ surrogate, membrane: cycle(usual, ...border) }, "at the threshold and its kinks"),
      backward({ surrogate, membrane: normal(usual, 1e30), reset: "soft" }, "huge"),
      backward({ surrogate, membrane: constant(usual, 0) }, "zeros"),
    ]),
  ],
  "decay.forward": decays.map(([name, w]) => ({ name, operands: { w, decay: output([]) } })),
  "decay.backward": [0, 0.3, 1].map((decay) => ({
    name: `decay ${decay}`,
    operands: { decay: cycle([], decay), outputGradient: normal([]), wGradient: output([]) },
  })),
  "readout.forward": [
    ...shapes.flatMap((shape) => ordinary.flatMap((kind) => readout(kind, shape, 0.5))),
    ...[...extreme, huge, ...notFinite].flatMap((kind) => readout(kind, usual, 0.9)),
    ...[0, 1].flatMap((decay) => readout(ordinary[0] as Kind, usual, decay)),
  ],
  "readout.backward": shapes.flatMap((shape) => [
    {
      name: `${shape.join("×")}, carry`,
      attributes: { decay: 0.5 },
      operands: { outputGradient: normal(shape), carry: normal(shape), inputGradient: output(shape) },
    },
    {
      name: `${shape.join("×")}, no carry`,
      attributes: { decay: 0.5 },
      operands: { outputGradient: normal(shape), inputGradient: output(shape) },
    },
    {
      name: `${shape.join("×")}, carry alone`,
      attributes: { decay: 0.9 },
      operands: { carry: normal(shape), inputGradient: output(shape) },
    },
  ]),
} satisfies Partial<Examples>
