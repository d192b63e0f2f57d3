/** Random cases: one instruction of any kernel, with ragged, aligned, tiny and wide shapes. */
import {
  type Expressions,
  type KernelName,
  Key,
  Program,
  type Shape,
  Shape as Shapes,
  Spikes,
  Windows,
} from "@spikeroute/core"
import { leakyBackward, leakyForward } from "../src/lif.ts"

export interface Operand {
  readonly shape: Shape.Shape
  readonly elements: Spikes.Elements
  readonly values: Float32Array
}

export interface Case {
  readonly kernel: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly operands: Readonly<Record<string, Operand>>
  /** Whether gradients are added to the existing values. */
  readonly accumulate: boolean
  /** Contains huge, subnormal, infinite or NaN values; results are then not compared, only memory errors are detected. */
  readonly hostile: boolean
}

/** The random source of a case. */
class Source {
  readonly hostile: boolean
  constructor(private readonly next: () => number) {
    this.hostile = this.chance(0.2)
  }
  int = (from: number, to: number): number => from + Math.floor(this.next() * (to - from + 1))
  chance = (probability: number): boolean => this.next() < probability
  pick = <A>(values: ReadonlyArray<A>): A => values[this.int(0, values.length - 1)] as A
  /** Channel counts at and around the widths of vectors and words. */
  channels = (most = 130): number =>
    Math.min(
      most,
      this.chance(0.4) ? this.pick([1, 4, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 128]) : this.int(1, most),
    )

  private operand = (shape: Shape.Shape, value: () => number, elements: Spikes.Elements = "float32"): Operand => ({
    shape,
    elements,
    values: Float32Array.from({ length: Shapes.size(shape) }, value),
  })
  private odd = (): number => this.pick([0, -0, 1e-40, -1e-45, 3e38, -1e30, Number.NaN, Infinity, -Infinity, 1])
  real = (shape: Shape.Shape): Operand =>
    this.operand(shape, () => (this.hostile && this.chance(0.1) ? this.odd() : 2 * this.next() - 1))
  positive = (shape: Shape.Shape): Operand => this.operand(shape, () => 0.1 + this.next())
  /** Mostly zeros, like gradients of neurons outside the surrogate's support, or averages of spikes. */
  sparse = (shape: Shape.Shape): Operand => {
    const density = this.pick([0, 0.02, 0.1, 0.3, 0.6, 1])
    const levels = this.chance(0.5)
    return this.operand(shape, () => {
      if (!this.chance(density)) return 0
      return this.hostile && this.chance(0.1) ? this.odd() : levels ? this.int(1, 4) / 4 : 2 * this.next() - 1
    })
  }
  spikes = (shape: Shape.Shape): Operand => {
    const density = this.pick([0, 0.02, 0.1, 0.3, 0.6, 1])
    return this.operand(shape, () => (this.chance(density) ? 1 : 0), "spikes")
  }
  activation = (shape: Shape.Shape): Operand => (this.chance(0.5) ? this.spikes(shape) : this.sparse(shape))
  labels = (batch: number, classes: number): Operand =>
    this.operand([batch], () => this.int(0, classes - (this.hostile ? -2 : 1)))
  key = (): Operand => ({
    shape: [2],
    elements: "words",
    values: new Float32Array(Uint32Array.of(this.int(0, 2 ** 31), 7).buffer),
  })
  maybe = (name: string, operand: Operand): Readonly<Record<string, Operand>> =>
    this.chance(0.5) ? { [name]: operand } : {}
  /** A shape of one to four axes. */
  shape = (): Shape.Shape => [...Array.from({ length: this.int(0, 3) }, () => this.int(1, 5)), this.channels()]
}

type Made = readonly [operands: Readonly<Record<string, Operand>>, attributes?: Readonly<Record<string, unknown>>]

const linear = (s: Source, weight: string, x: string, y: string, activation: (shape: Shape.Shape) => Operand): Made => {
  const batch = s.int(1, 70)
  const image = s.chance(0.3) ? [s.int(1, 4), s.int(1, 4), s.channels(40)] : [s.channels(200)]
  const outputs = s.channels(150)
  // Either the whole image is one row, or each pixel is.
  const pixels = s.chance(0.5) ? image.slice(0, -1) : []
  const inputs = Shapes.size(image) / Shapes.size(pixels)
  return [
    {
      [x]: activation([batch, ...image]),
      [weight]: s.real([inputs, outputs]),
      [y]: y === "outputGradient" ? s.sparse([batch, ...pixels, outputs]) : s.real([batch, ...pixels, outputs]),
    },
  ]
}

/** An axis, and the input's length along it. */
type Slid = readonly [axis: Windows.Axis, length: number]

/** Half of the windows are square with equal strides; `kind` limits the other properties. */
const window = (s: Source, kind: "maxPool" | "averagePool" | "convolution") => {
  const plain = s.chance(0.5)
  const spreads = kind === "convolution" && !plain && s.chance(0.3)
  const axis = (): Slid => {
    const kernel = s.chance(0.6) ? 3 : s.int(1, 7)
    const dilation = plain || s.chance(0.6) ? 1 : s.int(2, 3)
    const stride = s.chance(0.6) || spreads ? 1 : s.int(1, 4)
    const spread = spreads ? s.int(1, 4) : 1
    const span = dilation * (kernel - 1) + 1
    const least = spreads && s.chance(0.3) ? -2 : 0
    const side = () => (s.chance(0.6) ? Math.floor(kernel / 2) : s.int(least, kernel))
    const before = kind === "maxPool" ? 0 : side()
    const after = kind === "maxPool" || plain ? before : side()
    const shortest = Math.max(1, Math.ceil((span - before - after - 1) / spread) + 1)
    const most = s.chance(0.05) ? 24 : 12
    return [{ kernel, stride, before, after, dilation, spread }, s.int(shortest, Math.max(most, shortest))]
  }
  const [columns, width] = axis()
  const isSequence = !plain && s.chance(0.3)
  const [rows, height] = isSequence
    ? ([Windows.windowOf(2, 1, { stride: 1, padding: 0 }).rows, 1] as const)
    : plain
      ? ([columns, Math.max(width + s.int(-2, 2), columns.kernel - 2 * columns.before, 1)] as const)
      : axis()
  const extents = isSequence ? [width] : [height, width]
  const attributes = { rows, columns }
  const out = Windows.slide([...extents, 1], attributes, (reason) => {
    throw new Error(reason)
  })
  // Large batches: several images may be summed together.
  const batch = s.chance(0.1) ? s.int(5, 17) : s.int(1, 4)
  return { attributes, extents, out, batch, kernel: isSequence ? [columns.kernel] : [rows.kernel, columns.kernel] }
}

/** Input channels, output channels and groups of a convolution. */
const channelsOf = (s: Source, isNine: boolean): readonly [inputs: number, outputs: number, groups: number] => {
  // Weights above one megabyte are packed differently.
  if (isNine && s.chance(0.1)) return [s.int(150, 180), s.int(210, 230), 1]
  if (s.chance(0.6)) return [s.channels(80), s.channels(80), 1]
  const groups = s.chance(0.5) ? s.channels(80) : s.int(2, 5)
  return s.chance(0.5) && groups > 5 ? [groups, groups, groups] : [groups * s.int(1, 3), groups * s.int(1, 3), groups]
}

const convolution = (
  s: Source,
  x: string,
  weight: string,
  y: string,
  activation: (shape: Shape.Shape) => Operand,
): Made => {
  const { kernel, attributes, batch, extents, out } = window(s, "convolution")
  const [inputs, outputs, groups] = channelsOf(s, kernel[0] === 3 && kernel[1] === 3)
  return [
    {
      [x]: activation([batch, ...extents, inputs]),
      [weight]: s.real([...kernel, inputs / groups, outputs]),
      [y]: y === "outputGradient" ? s.sparse([batch, ...out, outputs]) : s.real([batch, ...out, outputs]),
    },
    { ...attributes, groups },
  ]
}

const pool = (s: Source, x: string, y: string, activation: (shape: Shape.Shape) => Operand, isMax: boolean): Made => {
  const { attributes, batch, extents, out } = window(s, isMax ? "maxPool" : "averagePool")
  const channels = s.channels()
  const image = activation([batch, ...extents, channels])
  const pooled = [batch, ...out, channels]
  return [
    { [x]: image, [y]: isMax && image.elements === "spikes" ? s.spikes(pooled) : s.real(pooled) },
    { ...attributes, ...(isMax ? {} : { share: s.pick([1, 0.25]) }) },
  ]
}

const adaptive = (s: Source, x: string, y: string, activation: (shape: Shape.Shape) => Operand): Made => {
  const [batch, outputs, channels] = [s.int(1, 3), s.int(1, 8), s.channels()]
  return [
    {
      [x]: activation([batch, s.int(1, 12), s.int(1, 12), channels]),
      [y]: s.real([batch, outputs, outputs, channels]),
    },
  ]
}

/** Neurons with a fast path in C. */
const leaky = (s: Source) => ({
  reset: s.pick(["soft", "hard", "none"] as const),
  decay: s.pick([0.5, 1, "p0"] as const),
  threshold: s.pick([0.5, 1]),
})

/** A shape and that of its gradient, which sometimes comes from an average pool. */
const behind = (s: Source) => {
  const kernelSize = s.chance(0.4) ? s.int(1, 4) : 0
  if (kernelSize === 0) {
    const shape = s.shape()
    return { shape, arriving: shape, pool: {} }
  }
  const [batch, height, width, channels] = [s.int(1, 3), s.int(kernelSize, 12), s.int(kernelSize, 12), s.channels()]
  const arriving = [batch, Math.floor(height / kernelSize), Math.floor(width / kernelSize), channels]
  return { shape: [batch, height, width, channels], arriving, pool: { pool: { kernelSize, height, width } } }
}

const logits = (s: Source) => {
  const [batch, classes] = [s.int(1, 40), s.int(1, 20)]
  const attributes = { mix: s.pick([0, 0.05, 1]), target: s.pick(["ones", "one-hot"]), terms: s.int(1, 5) }
  return {
    logits: s.real([batch, classes]),
    labels: s.labels(batch, classes),
    ...s.maybe("weights", s.positive([batch])),
    attributes,
  }
}

const channelwise = (s: Source) => {
  const shape = s.shape()
  const channels = [shape.at(-1) as number]
  return { shape, channel: () => s.positive(channels) }
}

type Line = Expressions.CodeLine

/**
 * Random code over these leaves: first operations that are exact everywhere, then some whose last bits may differ, with bounded operands.
 * `end` picks or adds a result, `compare` a spike.
 */
const code = (s: Source, leaves: ReadonlyArray<string>) => {
  const lines: Array<Line> = leaves.map((leaf): Line => ["leaf", leaf])
  const push = (...line: Line): number => lines.push(line) - 1
  const any = () => s.int(0, exact - 1)
  push("constant", s.pick([0, 1, -0.5, 3]))
  let exact = lines.length
  const compare = () => push(s.pick(["atLeast", "greater"] as const), any(), any())
  for (let steps = s.int(0, 20); steps > 0; steps--) {
    const kind = s.int(0, 9)
    if (kind < 2) push(s.pick(["negate", "absolute", "sqrt"] as const), any())
    else if (kind < 4) push("select", any(), any(), any())
    else if (kind < 6) compare()
    else push(s.pick(["add", "subtract", "multiply", "divide", "minimum", "maximum"] as const), any(), any())
    exact = lines.length
  }
  const bounded = (place: number) => push("maximum", push("minimum", place, push("constant", 4)), push("constant", -4))
  const end = (): number => {
    if (s.chance(0.5)) return any()
    const a = bounded(any())
    const f = s.pick(["exp", "log", "tanh", "sigmoid", "atan"] as const)
    return f === "log" ? push(f, push("add", push("absolute", a), push("constant", 0.5))) : push(f, a)
  }
  return { lines, end, compare, bounded }
}

const planes = (shape: Shape.Shape, count: number): Shape.Shape => (count === 1 ? shape : [count, ...shape])

/** Random inputs, planes and parameters: the operands, and the names of their leaves. */
const readable = (s: Source, shape: Shape.Shape, named: ReadonlyArray<string>) => {
  const operands: Record<string, Operand> = {}
  const leaves: Array<string> = []
  for (let i = s.int(0, 3); i > 0; i--) {
    operands[`x${i - 1}`] = s.activation(shape)
    leaves.push(`x${i - 1}`)
  }
  for (const name of named) {
    const count = s.int(0, 3)
    if (count > 0) operands[name] = s.real(planes(shape, count))
    for (let k = 0; k < count; k++) leaves.push(`${name}.${k}`)
  }
  for (let j = s.int(0, 8); j > 0; j -= s.int(1, 3)) {
    operands[`p${j - 1}`] = s.real(s.pick([[], shape.slice(-1), shape.slice(1), shape]))
    leaves.push(`p${j - 1}`)
  }
  return { operands, leaves }
}

/** Copies a part of x to a part of y with permuted and repeated axes; or the reverse, in which repeated elements are summed. */
const rearranged = (s: Source): Made => {
  const batch = s.int(1, 5)
  const axes = Array.from({ length: s.int(0, 3) }, () => ({ count: s.int(1, 4), repeated: s.chance(0.3) }))
  const last = { count: s.channels(70), repeated: false }
  /** The shape of a value that contains the part, the part's offset, and its stride along each axis. */
  const around = (counts: ReadonlyArray<number>) => {
    const before = counts.map(() => (s.chance(0.3) ? s.int(1, 3) : 0))
    const shape = counts.map((count, i) => before[i]! + count + (s.chance(0.3) ? s.int(1, 3) : 0))
    const strides = shape.map((_, i) => Shapes.size(shape.slice(i + 1)))
    return { shape, strides, first: before.reduce((sum, each, i) => sum + each * strides[i]!, 0) }
  }
  const all = [...axes, last]
  const given = all.filter(({ repeated }) => !repeated)
  const few = around(given.map(({ count }) => count))
  const order = s.chance(0.3) ? all.toReversed() : all
  const many = around(order.map(({ count }) => count))
  const moved = order.map((axis, i) => ({
    count: axis.count,
    few: axis.repeated ? 0 : few.strides[given.indexOf(axis)]!,
    many: many.strides[i]!,
  }))
  const shapes = [
    [batch, ...few.shape],
    [batch, ...many.shape],
  ] as const
  if (s.chance(0.4)) {
    const sums = moved.map((axis) => ({ count: axis.count, from: axis.many, to: axis.few }))
    return [
      { x: s.sparse(shapes[1]), y: s.real(shapes[0]) },
      { from: many.first, to: few.first, axes: sums },
    ]
  }
  const x = s.activation(shapes[0])
  const y = x.elements === "spikes" && s.chance(0.8) ? s.spikes(shapes[1]) : s.real(shapes[1])
  // Spikes are not added to spikes: what a copy goes to is silent before.
  const silence = (depth: number, place: number): void => {
    const axis = moved[depth]
    if (axis === undefined) y.values[place] = 0
    else for (let i = 0; i < axis.count; i++) silence(depth + 1, place + i * axis.many)
  }
  if (y.elements === "spikes") for (let n = 0; n < batch; n++) silence(0, n * Shapes.size(many.shape) + many.first)
  const copies = moved.map((axis) => ({ count: axis.count, from: axis.few, to: axis.many }))
  return [
    { x, y },
    { from: few.first, to: many.first, axes: copies },
  ]
}

/** Draws the operands of each kernel. */
const makers: Readonly<Record<KernelName, (s: Source) => Made>> = {
  "linear.forward": (s) => {
    const [operands] = linear(s, "weight", "x", "y", s.activation)
    return [{ ...operands, ...s.maybe("bias", s.real([(operands.weight as Operand).shape[1] as number])) }]
  },
  "linear.inputGradient": (s) => linear(s, "weight", "inputGradient", "outputGradient", s.real),
  "linear.weightGradient": (s) => linear(s, "weightGradient", "x", "outputGradient", s.activation),
  eligibility: (s) => {
    const [samples, inputs, outputs, states, first] = [
      s.int(1, 9),
      s.int(1, 90),
      s.channels(300),
      s.int(1, 3),
      s.int(0, 2),
    ]
    const planes = first + 1 + states + states * states + states + s.int(0, 2)
    const learnt = s.chance(0.8)
      ? { outputGradient: s.real([samples, outputs]), weightGradient: s.real([inputs, outputs]) }
      : {}
    const trace = s.real(states === 1 ? [samples, inputs, outputs] : [states, samples, inputs, outputs])
    return [
      { x: s.activation([samples, inputs]), factors: s.real([planes, samples, outputs]), trace, ...learnt },
      { states, first },
    ]
  },
  "conv2d.forward": (s) => {
    const [operands, attributes = {}] = convolution(s, "x", "weight", "y", s.activation)
    return [
      { ...operands, ...s.maybe("bias", s.real([(operands.weight as Operand).shape.at(-1) as number])) },
      attributes,
    ]
  },
  "conv2d.inputGradient": (s) => convolution(s, "inputGradient", "weight", "outputGradient", s.real),
  "conv2d.weightGradient": (s) => convolution(s, "x", "weightGradient", "outputGradient", s.activation),
  "bias.gradient": (s) => {
    const { shape, channel } = channelwise(s)
    return [{ outputGradient: s.real(shape), biasGradient: channel() }]
  },
  "weightStandardization.forward": (s) => {
    const shape = [s.int(1, 3), s.int(1, 3), s.int(1, 9), s.channels()]
    return [{ weight: s.real(shape), gain: s.real([shape[3] as number]), y: s.real(shape) }]
  },
  "weightStandardization.backward": (s) => {
    const shape = [s.int(1, 3), s.int(1, 3), s.int(1, 9), s.channels()]
    const gain = [shape[3] as number]
    return [
      {
        weight: s.real(shape),
        gain: s.real(gain),
        outputGradient: s.real(shape),
        weightGradient: s.real(shape),
        gainGradient: s.real(gain),
      },
    ]
  },
  "batchNorm.forward": (s) => {
    const { shape, channel } = channelwise(s)
    const statistics = {
      runningMean: channel(),
      runningVariance: channel(),
      mean: channel(),
      inverseDeviation: channel(),
    }
    return [
      { x: s.activation(shape), weight: channel(), bias: channel(), ...statistics, y: s.real(shape) },
      { updates: s.int(1, 3) },
    ]
  },
  "batchNorm.inference": (s) => {
    const { shape, channel } = channelwise(s)
    const statistics = { runningMean: channel(), runningVariance: channel() }
    return [{ x: s.activation(shape), weight: channel(), bias: channel(), ...statistics, y: s.real(shape) }]
  },
  "batchNorm.backward": (s) => {
    const { shape, channel } = channelwise(s)
    const statistics = {
      mean: channel(),
      inverseDeviation: channel(),
      weightGradient: channel(),
      biasGradient: channel(),
    }
    const gradients = { outputGradient: s.real(shape), ...s.maybe("inputGradient", s.real(shape)) }
    return [{ x: s.activation(shape), weight: channel(), ...statistics, ...gradients }]
  },
  "averagePool.forward": (s) => pool(s, "x", "y", s.activation, false),
  "averagePool.backward": (s) => pool(s, "inputGradient", "outputGradient", s.real, false),
  "adaptiveAveragePool.forward": (s) => adaptive(s, "x", "y", s.activation),
  "adaptiveAveragePool.backward": (s) => adaptive(s, "inputGradient", "outputGradient", s.real),
  "maxPool.forward": (s) => pool(s, "x", "y", s.activation, true),
  "maxPool.backward": (s) => {
    const [{ x, y }, attributes = {}] = pool(s, "x", "y", s.activation, true) as [Record<string, Operand>, object]
    return [
      { x: x as Operand, outputGradient: s.real((y as Operand).shape), inputGradient: s.real((x as Operand).shape) },
      { ...attributes },
    ]
  },
  rearrange: rearranged,
  "dropout.mask": (s) => [{ key: s.key(), mask: s.spikes(s.shape()) }, { rate: s.pick([0, 0.25, 0.9]) }],
  "loss.forward": (s) => {
    const { attributes, ...read } = logits(s)
    const outputs = s.maybe("outputs", s.real(read.logits.shape))
    return [{ ...read, metrics: s.positive([s.int(1, 3)]), ...outputs }, attributes]
  },
  "loss.backward": (s) => {
    const { attributes, ...read } = logits(s)
    return [{ ...read, logitsGradient: s.real(read.logits.shape) }, attributes]
  },
  "spikes.rate": (s) => [
    { spikes: s.activation(s.shape()), metrics: s.positive([3]) },
    { index: s.int(0, 2), terms: 4 },
  ],
  copy: (s) => {
    const shape = s.shape()
    return [{ source: s.real(shape), target: s.real(shape) }]
  },
  zero: (s) => [{ target: s.activation(s.shape()) }],
  "elementwise.forward": (s) => {
    const shape = s.shape()
    if (s.chance(0.2)) {
      const neuron = leaky(s)
      const membranes = { before: s.real(shape), ...(neuron.decay === "p0" ? { p0: s.positive([]) } : {}) }
      const written = { state: s.real(shape), y: s.spikes(shape) }
      return [{ x0: s.activation(shape), ...membranes, ...written }, { ...leakyForward(neuron) }]
    }
    const { operands, leaves } = readable(s, shape, ["before"])
    const h = s.maybe("h", s.real([3]))
    const { lines, end, compare } = code(s, [...leaves, ...(h.h ? ["h.1"] : [])])
    const state = Array.from({ length: s.int(0, 3) }, end)
    const isFired = s.chance(0.5)
    const y = state.length > 0 && s.chance(0.3) ? -1 : isFired ? compare() : end()
    return [
      {
        ...operands,
        ...h,
        ...(state.length > 0 ? { state: s.real(planes(shape, state.length)) } : {}),
        ...(y < 0 ? {} : { y: isFired ? s.spikes(shape) : s.real(shape) }),
      },
      { code: lines, state, y },
    ]
  },
  "elementwise.backward": (s) => {
    const { shape, arriving: outer, pool } = behind(s)
    if (s.chance(0.2)) {
      const edges = s.pick(["none", "membrane", "membrane and reset"] as const)
      const neuron = {
        ...leaky(s),
        edges,
        ...s.pick([
          { height: 1, slope: 1 },
          { height: 2, slope: 4 },
        ]),
      }
      return [
        {
          state: s.real(shape),
          ...(neuron.decay === "p0" && edges !== "none" ? { p0: s.positive([]) } : {}),
          dy: s.sparse(outer),
          ...(edges === "none" ? {} : { carry: s.real(shape) }),
          dx0: s.real(shape),
        },
        { ...leakyBackward(neuron), ...pool },
      ]
    }
    const { operands, leaves } = readable(s, shape, ["before", "state"])
    const carried = s.int(0, 3)
    const arriving = carried === 0 || s.chance(0.7) ? { dy: s.sparse(outer) } : {}
    const { lines, end, bounded } = code(s, [
      ...leaves,
      ...Object.keys(arriving),
      ...Array.from({ length: carried }, (_, k) => `carry.${k}`),
    ])
    const carry = Array.from({ length: carried }, end)
    const [dx, dp]: readonly [Array<number>, Array<number>] = [[], []]
    const gradients: Record<string, Operand> = {}
    for (const [name, operand] of Object.entries(operands)) {
      const to = name.startsWith("x") ? dx : dp
      if (!/^[xp]/.test(name) || s.chance(0.4)) continue
      while (to.length <= Number(name.slice(1))) to.push(-1)
      to[Number(name.slice(1))] = to === dx ? end() : bounded(end())
      gradients[`d${name}`] = s.real(operand.shape)
    }
    return [
      {
        ...operands,
        ...arriving,
        ...(carried > 0 ? { carry: s.real(planes(shape, carried)) } : {}),
        ...gradients,
      },
      { code: lines, carry, dx, dp, ...("dy" in arriving ? pool : {}) },
    ]
  },
}

export const fuzzedKernels = Object.keys(makers) as ReadonlyArray<KernelName>

/** Case `number` of a kernel. */
export const makeCase = (seed: number, kernel: KernelName, number: number): Case => {
  const random = Key.generator(Key.fold(Key.make(seed), kernel, number))
  const source = new Source(() => random.nextDoubleUnsafe())
  const [operands, attributes = {}] = makers[kernel](source)
  return { kernel, attributes, operands, accumulate: source.chance(0.5), hostile: source.hostile }
}

/** Bytes between buffers that belong to none. */
const gap = 64

/** The case as a program of one instruction, with gaps between the buffers. */
export const programOf = (
  { kernel, attributes, operands, accumulate }: Case,
  gradients: ReadonlySet<string>,
): Program.Program => {
  let top = gap
  const buffers = Object.entries(operands).map(([name, { shape, elements }]): Program.Buffer => {
    const stride = Math.ceil(Spikes.byteLength(shape, elements) / gap) * gap
    const offset = top
    top += stride + gap
    return {
      name,
      role: "operand",
      owner: name,
      kind: name === "weight" ? "parameter" : "state",
      shape,
      elements,
      slots: 1,
      offset,
      stride,
      lifetime: [0, 0],
    }
  })
  const refs = Object.fromEntries(
    Object.keys(operands).map((name, i) => [
      name,
      { buffer: i, ...(accumulate && gradients.has(name) ? { accumulate: true as const } : {}) },
    ]),
  )
  const program = Program.singleInstruction({ kernel, operands: refs, attributes }, { buffers, arenaBytes: top })
  const { begin } = program.segments
  // In a program of several steps this kernel caches its rearranged weights: run it twice to test the cached copy.
  const again = kernel === "linear.inputGradient" && !accumulate ? begin : []
  return { ...program, trainedSteps: 2, segments: { ...program.segments, begin: [...begin, ...again] } }
}
