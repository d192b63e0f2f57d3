/** Examples of expressions: leaky neurons and read-outs with every reset and surrogate, before and after pools. */
import { type Cell, unfold } from "../../../expressions/cell.ts"
import { encode, shared } from "../../../expressions/code.ts"
import { fire, constant as fixed, leaf, of } from "../../../expressions/expression.ts"
import { leaky } from "../../../neurons/leaky.ts"
import { readout } from "../../../neurons/leaky-readout.ts"
import { type Reset, ResetSchema } from "../../../neurons/reset.ts"
import type { Shape } from "../../../shape.ts"
import { defaults, expressionOf, type SurrogateName, surrogateNames } from "../../../surrogates/index.ts"
import {
  constant,
  cycle,
  type Draw,
  type Example,
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
  /** The decay is an operand, as if it were trained. */
  readonly learnt?: boolean
  readonly surrogate?: SurrogateName
  readonly smooth?: boolean
  /** A neuron that never fires. */
  readonly isReadout?: boolean
  readonly x?: Draw
  readonly before?: Draw
}

const cellOf = (neuron: Neuron): Cell => {
  const { reset = "soft", threshold = 1, decay = 0.5, learnt = false, surrogate = "triangle", smooth = false } = neuron
  const p = { decay: learnt ? leaf("p0") : fixed(decay), threshold: fixed(threshold) }
  const given = { x: leaf("x0"), before: { membrane: leaf("s.0") }, p }
  const spike = (z: Parameters<typeof fire>[0]) => fire(z, expressionOf(defaults[surrogate]))
  const { states, output } = neuron.isReadout
    ? readout.step({ ...given, choices: {}, spike })
    : leaky.step({ ...given, choices: { reset }, spike })
  const { code, places } = encode(shared([of(states.membrane), output]))
  return {
    ...{ inputs: 1, parameters: learnt ? 1 : 0, states: ["membrane"], initial: [0], code },
    ...{ next: places.slice(0, 1), output: places[1] as number },
    ...(smooth ? { smooth } : {}),
  }
}

const label = (neuron: Neuron): string => {
  const { reset = "soft", threshold = 1, decay = 0.5, learnt = false, surrogate = "triangle", smooth = false } = neuron
  const leak = `${learnt ? "learnt " : ""}decay ${decay}`
  if (neuron.isReadout) return `read-out, ${leak}`
  return `${reset} reset, threshold ${threshold}, ${leak}, ${smooth ? "smooth " : ""}${surrogate}`
}

const forward = (neuron: Neuron, note = ""): ReadonlyArray<Example> => {
  const { kind = ordinary[0] as Kind, shape = usual, decay = 0.5, learnt } = neuron
  const { forward, spikes } = unfold(cellOf(neuron))
  const example = {
    name: `${note || `${kind[0]} ${shape.join("×")}`}; ${label(neuron)}`,
    attributes: { ...forward },
    operands: {
      x0: neuron.x ?? kind[1](shape),
      before: neuron.before ?? normal(shape, 1.5),
      ...(learnt ? { p0: cycle([], decay) } : {}),
      state: output(shape),
      y: output(shape, spikes ? "spikes" : "float32"),
    },
  }
  return [example, { ...example, name: `${example.name}, in place`, shared: ["before", "state"] }]
}

/** A neuron fires exactly at the threshold, but not one float32 number below it. */
const border = [1, 0.99999994, 1.0000001, 0, -1, 2, 0.5, 1.5]

/** Images that windows tile completely, and images with a remainder. */
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
  const attributes = unfold(cellOf(neuron)).backward({
    isCut: (edge) => edge === "reset" && !resetGradient,
    output: outputGradient,
    carried: carry,
    inputs: [inputGradient],
    parameters: learnt ? [true] : [],
  })
  const [, height = 1, width = 1] = shape
  const read = new Set(attributes.code.flatMap(([op, leaf]) => (op === "leaf" ? [String(leaf).split(".")[0]] : [])))
  const of = (name: string, draw: Draw) => (read.has(name) ? { [name]: draw } : {})
  return {
    name: `${note || shape.join("×")}; ${parts.join(", ")}`,
    attributes: { ...attributes, ...(pool ? { pool: { kernelSize: pool, height, width } } : {}) },
    operands: {
      ...of("x0", normal(shape)),
      ...of("before", normal(shape, 1.5)),
      ...of("state", neuron.membrane ?? normal(shape, 1.5)),
      ...of("p0", cycle([], decay)),
      ...(outputGradient ? { dy: normal(pool ? pooled(shape, pool) : shape) } : {}),
      ...(carry ? { carry: normal(shape) } : {}),
      ...(inputGradient ? { dx0: output(shape) } : {}),
      ...(learnt ? { dp0: output([]) } : {}),
    },
  }
}

export const neuronsForward: ReadonlyArray<Example> = [
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
  ...[0, 0.9, 1].flatMap((decay) => forward({ isReadout: true, decay })),
]

export const neuronsBackward: ReadonlyArray<Example> = [
  ...surrogateNames.flatMap((surrogate) =>
    resets.flatMap((reset) => [
      // Without a carry, the code contains no reset; without a reset, no gradient passes it.
      ...(reset === "soft" ? [backward({ surrogate, reset, carry: false })] : []),
      ...(reset === "none" ? [] : [backward({ surrogate, reset, resetGradient: false })]),
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
    backward({ shape, pool, surrogate: "sigmoid", reset: "hard" }),
    backward({ shape, pool, learnt: true, decay: 0.3 }),
  ]),
  backward({ learnt: true, carry: false, inputGradient: false }),
  backward({ learnt: true, inputGradient: false }),
  ...surrogateNames.flatMap((surrogate) => [
    backward({ surrogate, membrane: cycle(usual, ...border) }, "at the threshold and its kinks"),
    backward({ surrogate, membrane: normal(usual, 1e30), reset: "soft" }, "huge"),
    backward({ surrogate, membrane: constant(usual, 0) }, "zeros"),
  ]),
  ...shapes.flatMap((shape) => [
    backward({ isReadout: true, shape }),
    backward({ isReadout: true, shape, carry: false }),
    backward({ isReadout: true, shape, outputGradient: false, decay: 0.9 }),
  ]),
]
