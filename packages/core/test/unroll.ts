/**
 * An independent oracle: interprets a graph over T time steps in float64, on a tape of scalars that differentiates by itself.
 *
 * It shares nothing with the compiler and the kernels but the graph: forward directions are written anew from the equations of
 * the ops' doc comments, backward directions are not written at all (every number on the tape knows its partial derivatives,
 * and one sweep from the end to the start applies the chain rule). A policy detaches temporal edges, literally: a detached value
 * goes on as a constant. It is simple, and slow.
 */
import { type Graph, Key, type Loss, type Losses, type Policy } from "../src/index.ts"
import { type Scalar, Tape } from "./tape.ts"
import { type CellAttributes, runCell } from "./unroll-cell.ts"
import { lossOfTerms } from "./unroll-loss.ts"

/** Values of a batch, batch axis first, or of a parameter. */
interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly data: ReadonlyArray<Scalar>
}

export interface Unrolling {
  readonly batchSize: number
  readonly timeSteps: number
  /** [N, …], or [T, N, …] with frames. */
  readonly inputs: ArrayLike<number>
  readonly frames: boolean
  readonly labels: ArrayLike<number>
  /** Weights and statistics by name. */
  readonly parameters: ReadonlyMap<string, ArrayLike<number>>
  /** Real numbers, where terms of the loss take them. */
  readonly targets?: ArrayLike<number>
  readonly loss: Loss | ReadonlyArray<Losses.LossTerm>
  /** The random key of a dropout mask's node. */
  readonly keyOf: (node: string) => Key.Key
  readonly detached: ReadonlySet<Policy.Edge> | "all"
  /** Steps that gradient can cross. */
  readonly window: number
  /** How the traces decay by which weights see the inputs of maps, if they do. */
  readonly trace: Policy.TraceDecay | undefined
  /** One backward pass goes through the means over time. */
  readonly rates?: boolean
  /** The steps whose loss is differentiated, from 0. */
  readonly trained: ReadonlyArray<number>
}

export interface Unrolled {
  /** The loss of all steps, over T. */
  readonly loss: number
  /** The loss of the trained steps, over T: what is differentiated. */
  readonly objective: number
  readonly outputs: ReadonlyArray<number>
  /** By layer, in order of execution: spikes per neuron and time step. */
  readonly firingRates: ReadonlyArray<number>
  /** Of every weight, by name. */
  readonly gradients: ReadonlyMap<string, ReadonlyArray<number>>
  /** The same with every path counted by its absolute value. */
  readonly magnitudes: ReadonlyMap<string, ReadonlyArray<number>>
  /** Running statistics after the batch, by name. */
  readonly statistics: ReadonlyMap<string, ReadonlyArray<number>>
  /**
   * How near the network came to a jump: of a spike, of a rectangle's edge, between two candidates of a max pool; or batch norm
   * to dividing rounding by rounding: where a channel varies, its deviation counts a five-hundredth.
   */
  readonly margin: number
}

const product = (extents: ReadonlyArray<number>): number => extents.reduce((a, b) => a * b, 1)

/** The element at a place along each axis. */
const elementOf = ({ shape, data }: Tensor, place: ReadonlyArray<number>): Scalar =>
  data[shape.reduce((index, extent, axis) => index * extent + place[axis]!, 0)]!

/** A value of which each element is what `of` gives for its place. */
const gathered = (shape: ReadonlyArray<number>, of: (place: ReadonlyArray<number>) => Scalar): Tensor => {
  const places = shape.reduce<ReadonlyArray<ReadonlyArray<number>>>(
    (all, extent) => all.flatMap((place) => integers(0, extent).map((i) => [...place, i])),
    [[]],
  )
  return { shape, data: places.map(of) }
}

/** Runs a batch over all time steps and differentiates it. */
export const unroll = (graph: Graph.Graph, unrolling: Unrolling): Unrolled => {
  const { batchSize, timeSteps, inputs, frames, labels, loss, keyOf, detached, window, trained, trace } = unrolling
  const tape = new Tape()
  const statistics = new Map<string, Array<number>>()
  const weights = new Map<string, Tensor>()
  const constants = new Map<string, Tensor>()
  for (const { name, shape, role } of graph.parameters) {
    const values = Array.from(unrolling.parameters.get(name)!)
    const tensor = () => ({ shape, data: values.map((value) => tape.number(value)) })
    if (role === "weight") weights.set(name, tensor())
    else if (role === "constant") constants.set(name, tensor())
    else statistics.set(name, values)
  }
  const masks = new Map<string, Tensor>()
  /** New states of cells, by node, and all values of earlier steps. */
  const left = new Map<string, ReadonlyArray<ReadonlyArray<Scalar>>>()
  const past: Array<ReadonlyMap<string, Tensor>> = []
  const traces = new Map<string, ReadonlyArray<number>>()
  /** The decays of neurons, by node. */
  const decays = new Map<string, number>()
  const spikeCounts = new Map<string, number>()
  let margin = Number.POSITIVE_INFINITY
  const near = (distance: number): void => {
    margin = Math.min(margin, distance)
  }
  const isCut = (edge: string): boolean => detached === "all" || detached.has(edge)
  const origins = originsOf(graph)

  const perPixel = (
    x: Tensor,
    height: number,
    width: number,
    pixel: (n: number, i: number, j: number) => ReadonlyArray<Scalar>,
  ): Tensor => {
    const data: Array<Scalar> = []
    for (let n = 0; n < x.shape[0]!; n++)
      for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) data.push(...pixel(n, i, j))
    return { shape: [x.shape[0]!, height, width, data.length / (x.shape[0]! * height * width)], data }
  }
  /** One element of an image, nothing outside of it. */
  const at = (
    x: { readonly shape: ReadonlyArray<number>; readonly data: ReadonlyArray<number> },
    n: number,
    i: number,
    j: number,
    c: number,
  ): number | undefined => {
    const [, height, width, channels] = x.shape as [number, number, number, number]
    return i < 0 || j < 0 || i >= height || j >= width
      ? undefined
      : x.data[((n * height + i) * width + j) * channels + c]
  }
  const channelsOf = (x: Tensor): ReadonlyArray<number> => Array.from({ length: x.shape.at(-1)! }, (_, c) => c)
  const pair = <A>(given: A | readonly [A, A]): readonly [A, A] =>
    (Array.isArray(given) ? given : [given, given]) as readonly [A, A]
  /** Positions along an axis that output i sees: its padding before, and how many outputs there are. */
  const sliding = (x: Tensor, kernel: number | readonly [number, number], axis: 0 | 1, attributes: Attributes) => {
    const [size, stride, dilation] = [kernel, attributes.stride, attributes.dilation ?? 1].map(
      (each) => pair(each)[axis],
    ) as [number, number, number]
    const spread = pair(attributes.spread ?? 1)[axis]
    const [before, after] = pair<number>(pair<number | readonly [number, number]>(attributes.padding)[axis])
    const length = (x.shape[axis + 1]! - 1) * spread + 1 + before + after
    const outputs = Math.floor((length - dilation * (size - 1) - 1) / stride) + 1
    /** Beyond the image, −1: between its pixels a transposed convolution sees zeros. */
    const position = (i: number, a: number) => {
      const at = (i * stride + a * dilation - before) / spread
      return Number.isInteger(at) ? at : -1
    }
    return { size, outputs, position }
  }
  /** A sequence as an image of one row, its window as one over that. */
  const asImage = (x: Tensor): Tensor =>
    x.shape.length === 3 ? { shape: [x.shape[0]!, 1, ...x.shape.slice(1)], data: x.data } : x
  const still: Attributes = { stride: 1, padding: 0 } as Attributes
  const axesOf = (x: Tensor, kernel: number | readonly [number, number], attributes: Attributes) => {
    const image = asImage(x)
    const rows = x.shape.length === 3 ? sliding(image, 1, 0, still) : sliding(image, kernel, 0, attributes)
    return [rows, sliding(image, kernel, 1, attributes)] as const
  }
  const asSequence = (image: Tensor, x: Tensor): Tensor =>
    x.shape.length === 3 ? { shape: [image.shape[0]!, ...image.shape.slice(2)], data: image.data } : image
  const pooled = (given: Tensor, attributes: Attributes, pool: (elements: ReadonlyArray<Scalar>) => Scalar): Tensor => {
    const [rows, columns] = axesOf(given, attributes.kernelSize, attributes)
    const x = asImage(given)
    const made = perPixel(x, rows.outputs, columns.outputs, (n, i, j) =>
      channelsOf(x).map((c) => {
        const elements: Array<Scalar> = []
        for (let a = 0; a < rows.size; a++)
          for (let b = 0; b < columns.size; b++) {
            const element = at(x, n, rows.position(i, a), columns.position(j, b), c)
            if (element !== undefined) elements.push(element)
          }
        return pool(elements)
      }),
    )
    return asSequence(made, given)
  }
  const mean = (terms: ReadonlyArray<Scalar>): Scalar => tape.times(tape.sum(terms), 1 / terms.length)
  const squaresAround = (terms: ReadonlyArray<Scalar>, center: Scalar): Scalar =>
    tape.sum(terms.map((term) => tape.power(tape.subtract(term, center), 2)))

  /** Of neurons whose mean output is differentiated: what is added to each input, or parameter, of each element at every step. */
  const additions = new Map<string, ReadonlyArray<Scalar>>()
  /** Inputs that are apart from the rest of the network, all of the first one's size. */
  const apart = (key: string, { shape, data }: Tensor, count: number): Tensor => {
    const added = additions.get(key) ?? Array.from({ length: count }, () => tape.number(0))
    additions.set(key, added)
    return { shape, data: added.map((addition, e) => tape.add(tape.detach(data[e % data.length]!), addition)) }
  }
  const isTracked = (name: string, op: string, attributes: unknown): boolean =>
    hasState(op, attributes) || (op === "elementwise" && graph.types.get(name)!.elements === "spikes")
  const meanOf = (name: string): ReadonlyArray<number> =>
    past[0]!
      .get(name)!
      .data.map((_, e) => past.reduce((sum, at) => sum + tape.value(at.get(name)!.data[e]!), 0) / timeSteps)

  /** At the rates, neurons give their mean output, which changes with their inputs as it does where these change at every step. */
  const rated = (name: string, shape: ReadonlyArray<number>, given: ReadonlyArray<Tensor>): Tensor => {
    const own = past.map((at) => at.get(name)!.data)
    const slopes = tape.gradient(tape.times(tape.sum(own.flat()), 1 / timeSteps))
    const data = meanOf(name).map((value, e) => {
      const changes = given.map(({ data }, i) => {
        const input = data[e % data.length]!
        return tape.map(input, 0, slopes[additions.get(`${name} ${i}`)![e]!]!)
      })
      return tape.sum([tape.number(value), ...changes])
    })
    return { shape, data }
  }

  /** Normalised by the means of the steps' statistics. */
  const normalized = (input: string, [x, weight, bias]: ReadonlyArray<Tensor>): Tensor => {
    const channels = weight!.data.length
    const data = [...x!.data]
    for (let c = 0; c < channels; c++) {
      const ofChannel = <A>(all: ReadonlyArray<A>) => all.filter((_, i) => i % channels === c)
      const moments = past.map((at) => {
        const own = ofChannel(at.get(input)!.data).map((a) => tape.value(a))
        const center = own.reduce((sum, a) => sum + a, 0) / own.length
        return { center, variance: own.reduce((sum, a) => sum + (a - center) ** 2, 0) / own.length }
      })
      const average = (of: (each: { readonly center: number; readonly variance: number }) => number) =>
        moments.reduce((sum, each) => sum + of(each), 0) / timeSteps
      const own = ofChannel(x!.data)
      /** A number that changes as another does. */
      const like = (scalar: Scalar, value: number) => tape.map(scalar, value, 1)
      const center = like(
        mean(own),
        average((each) => each.center),
      )
      const squares = mean(own.map((a) => tape.power(tape.subtract(a, tape.detach(center)), 2)))
      const variance = like(squares, 1 / average((each) => 1 / (each.variance + 1e-5)))
      const scale = tape.multiply(tape.power(variance, -1 / 2), weight!.data[c]!)
      own.forEach((element, i) => {
        data[i * channels + c] = tape.dot([tape.subtract(element, center)], [scale], bias!.data[c]!)
      })
    }
    return { shape: x!.shape, data }
  }

  const step = (t: number, atRates = false): Tensor => {
    const sample = graph.input
    const length = batchSize * product(sample)
    const offset = frames ? t * length : 0
    const values = new Map<string, Tensor>([...weights, ...constants])
    const seenInput = atRates ? meanOf("input") : Array.from({ length }, (_, i) => inputs[offset + i]!)
    values.set("input", { shape: [batchSize, ...sample], data: seenInput.map((value) => tape.number(value)) })
    if (!atRates) past.push(values)
    for (const { name, op, attributes: untyped, inputs: names } of graph.nodes) {
      const attributes = untyped as unknown as Attributes
      const tracked = unrolling.rates === true && isTracked(name, op, untyped)
      const given = names.map((each) => values.get(each) as Tensor)
      if (atRates && (tracked || op === "batchNorm")) {
        values.set(name, tracked ? rated(name, given[0]!.shape, given) : normalized(names[0]!, given))
        continue
      }
      const shifted = tracked ? given.map((each, i) => apart(`${name} ${i}`, each, given[0]!.data.length)) : given
      const get = (i: number) => shifted[i] as Tensor
      const x = get(0)
      const elementwise = (f: (a: Scalar, i: number) => Scalar): Tensor => ({ shape: x.shape, data: x.data.map(f) })
      /** What the weights of a map see of its input: a trace of it, if the policy has traces and neurons stand before it. */
      const seen = (): ReadonlyArray<number> => {
        const activity = x.data.map((a) => tape.value(a))
        const [neuron] = origins(names[0]!)
        if (trace === undefined || neuron === undefined) return activity
        // Of neurons behind, the first step sees 0.
        const own = decays.get(neuron) ?? 0
        const before = traces.get(name) ?? activity.map(() => 0)
        const after = activity.map((a, i) => a + (trace === "presynaptic" ? own : trace) * before[i]!)
        traces.set(name, after)
        return after
      }
      const countSpikes = (spikes: ReadonlyArray<Scalar>): void => {
        const count = spikes.reduce((sum, s) => sum + tape.value(s), 0)
        spikeCounts.set(name, (spikeCounts.get(name) ?? 0) + count / spikes.length / timeSteps)
      }
      const compute = (): Tensor => {
        switch (op) {
          case "linear": {
            const [inputs, outputs] = get(1).shape as [number, number]
            const activity = seen()
            const data: Array<Scalar> = []
            for (let n = 0; n < x.data.length / inputs; n++)
              for (let o = 0; o < outputs; o++) {
                const column = Array.from({ length: inputs }, (_, i) => get(1).data[i * outputs + o]!)
                data.push(
                  tape.dot(
                    x.data.slice(n * inputs, (n + 1) * inputs),
                    column,
                    names[2] === undefined ? undefined : get(2).data[o],
                    activity.slice(n * inputs, (n + 1) * inputs),
                  ),
                )
              }
            return { shape: [...x.shape.slice(0, -1), outputs], data }
          }
          case "conv2d":
          case "convTranspose": {
            const { shape } = get(1)
            const [inputs, outputs] = shape.slice(-2) as [number, number]
            const groups = attributes.groups ?? 1
            const kernel = shape.length === 3 ? shape[0]! : ([shape[0]!, shape[1]!] as const)
            const [rows, columns] = axesOf(x, kernel, attributes)
            const [image, activity] = [asImage(x), { shape: asImage(x).shape, data: seen() }]
            const made = perPixel(image, rows.outputs, columns.outputs, (n, i, j) =>
              Array.from({ length: outputs }, (_, o) => {
                const as: Array<Scalar> = []
                const bs: Array<Scalar> = []
                const seenBy: Array<number> = []
                const first = Math.floor(o / (outputs / groups)) * inputs
                for (let a = 0; a < rows.size; a++)
                  for (let b = 0; b < columns.size; b++)
                    for (let k = 0; k < inputs; k++) {
                      const [row, column] = [rows.position(i, a), columns.position(j, b)]
                      const element = at(image, n, row, column, first + k)
                      if (element === undefined) continue
                      as.push(element)
                      seenBy.push(at(activity, n, row, column, first + k)!)
                      bs.push(get(1).data[((a * columns.size + b) * inputs + k) * outputs + o]!)
                    }
                return tape.dot(as, bs, names[2] === undefined ? undefined : get(2).data[o], seenBy)
              }),
            )
            return asSequence(made, x)
          }
          case "weightStandardization": {
            const outputs = x.shape.at(-1)!
            const data = [...x.data]
            for (let o = 0; o < outputs; o++) {
              const own = x.data.filter((_, i) => i % outputs === o)
              const center = mean(own)
              const variance = tape.times(squaresAround(own, center), 1 / Math.max(1, own.length - 1))
              const scale = tape.power(tape.add(tape.times(variance, own.length), tape.number(1e-4)), -1 / 2)
              const gain = tape.multiply(scale, get(1).data[o]!)
              own.forEach((weight, i) => {
                data[i * outputs + o] = tape.multiply(tape.subtract(weight, center), gain)
              })
            }
            return { shape: x.shape, data }
          }
          case "batchNorm": {
            const channels = get(1).data.length
            const data = [...x.data]
            for (let c = 0; c < channels; c++) {
              const own = x.data.filter((_, i) => i % channels === c)
              const center = mean(own)
              const squares = squaresAround(own, center)
              const deviation = Math.sqrt(tape.value(squares) / own.length)
              if (deviation > 1e-7) near(deviation / 500)
              const scale = tape.multiply(
                tape.power(tape.add(tape.times(squares, 1 / own.length), tape.number(1e-5)), -1 / 2),
                get(1).data[c]!,
              )
              own.forEach((element, i) => {
                data[i * channels + c] = tape.dot([tape.subtract(element, center)], [scale], get(2).data[c]!)
              })
              const move = (statistic: string, towards: number) => {
                const running = statistics.get(statistic)!
                running[c] = 0.9 * running[c]! + 0.1 * towards
              }
              move(names[3]!, tape.value(center))
              move(names[4]!, tape.value(squares) / Math.max(1, own.length - 1))
            }
            return { shape: x.shape, data }
          }
          case "averagePool": {
            const [rows, columns] = axesOf(x, attributes.kernelSize, attributes)
            return pooled(x, attributes, (elements) => tape.times(tape.sum(elements), 1 / (rows.size * columns.size)))
          }
          case "sumPool":
            return pooled(x, attributes, (elements) => tape.sum(elements))
          case "maxPool":
            return pooled(x, attributes, (elements) => {
              const best = elements.reduce((a, b) => (tape.value(b) > tape.value(a) ? b : a))
              for (const element of elements) {
                const gap = tape.value(best) - tape.value(element)
                if (gap > 0) near(gap)
              }
              return best
            })
          case "adaptiveAveragePool": {
            const image = asImage(x)
            const [, height, width] = image.shape as [number, number, number]
            const [rows, columns] = pair(attributes.outputSize)
            const down = x.shape.length === 3 ? 1 : rows
            const range = (i: number, extent: number, outputs: number) =>
              integers(Math.floor((i * extent) / outputs), Math.ceil(((i + 1) * extent) / outputs))
            const made = perPixel(image, down, columns, (n, i, j) =>
              channelsOf(x).map((c) =>
                mean(
                  range(i, height, down).flatMap((a) => range(j, width, columns).map((b) => at(image, n, a, b, c)!)),
                ),
              ),
            )
            return asSequence(made, x)
          }
          case "flatten":
            return { shape: [batchSize, x.data.length / batchSize], data: x.data }
          case "reshape":
            return { shape: [batchSize, ...attributes.shape], data: x.data }
          case "upsample": {
            const [down, across] = pair(attributes.scaleFactor)
            const factors = [1, ...(x.shape.length === 3 ? [across] : [down, across]), 1]
            return gathered(
              x.shape.map((extent, axis) => extent * factors[axis]!),
              (place) =>
                elementOf(
                  x,
                  place.map((i, axis) => Math.floor(i / factors[axis]!)),
                ),
            )
          }
          case "transpose": {
            const axes = [0, ...attributes.axes.map((axis) => axis + 1)]
            return gathered(
              axes.map((axis) => x.shape[axis]!),
              (place) =>
                elementOf(
                  x,
                  axes.map((_, axis) => place[axes.indexOf(axis)]!),
                ),
            )
          }
          case "slice": {
            const axis = attributes.axis + 1
            return gathered(x.shape.with(axis, attributes.end - attributes.start), (place) =>
              elementOf(x, place.with(axis, place[axis]! + attributes.start)),
            )
          }
          case "concatenate": {
            const axis = attributes.axis + 1
            const parts = given.flatMap((part) => integers(0, part.shape[axis]!).map((i) => ({ part, i })))
            return gathered(x.shape.with(axis, parts.length), (place) => {
              const { part, i } = parts[place[axis]!]!
              return elementOf(part, place.with(axis, i))
            })
          }
          case "dropoutMask": {
            const known = masks.get(name)
            if (known) return known
            const shape = [batchSize, ...attributes.shape]
            const draws = Key.uniform(keyOf(name), new Float32Array(product(shape)))
            const mask = { shape, data: Array.from(draws, (draw) => tape.number(draw >= attributes.rate ? 1 : 0)) }
            masks.set(name, mask)
            return mask
          }
          case "dropout":
            return elementwise((a, i) => tape.times(tape.multiply(a, get(1).data[i]!), 1 / (1 - attributes.rate)))
          case "add":
            return elementwise((a, i) => tape.add(a, get(1).data[i]!))
          case "scale":
            return elementwise((a) => tape.times(a, attributes.factor))
          case "gain":
            return elementwise((a) => tape.multiply(a, get(1).data[0]!))
          case "delay": {
            const { steps, edge, shape } = attributes
            const source = t < steps ? undefined : past[t - steps]!.get(names[0]!)!
            if (source === undefined) {
              const zeros = Array.from({ length: batchSize * product(shape) }, () => tape.number(0))
              return { shape: [batchSize, ...shape], data: zeros }
            }
            const crosses = Math.floor((t - steps) / window) < Math.floor(t / window)
            return crosses || isCut(edge) ? { ...source, data: source.data.map((v) => tape.detach(v)) } : source
          }
          case "elementwise": {
            const cell = untyped as unknown as CellAttributes
            const cutBefore = (k: number) => t % window === 0 || isCut(cell.states[k]!)
            const before = left.get(name)?.map((plane, k) => (cutBefore(k) ? plane.map((v) => tape.detach(v)) : plane))
            const after = cell.states.map((): Array<Scalar> => [])
            const y = elementwise((_, i) => {
              const leaf = (leaf: string): Scalar => {
                if (leaf.startsWith("s.")) {
                  const k = Number(leaf.slice(2))
                  return before?.[k]?.[i] ?? tape.number(cell.initial[k]!)
                }
                const { data } = get(Number(leaf.slice(1)) + (leaf.startsWith("p") ? cell.inputs : 0))
                return data[i % data.length]!
              }
              const made = runCell(cell, { tape, leaf, isCut, near })
              for (const [k, state] of made.states.entries()) after[k]!.push(state)
              return made.y
            })
            left.set(name, after)
            if (trace === "presynaptic")
              decays.set(
                name,
                decayOf(cell, (leaf) =>
                  tape.value(get(Number(leaf.slice(1)) + (leaf.startsWith("p") ? cell.inputs : 0)).data[0]!),
                ),
              )
            if (cell.states.length > 0 && graph.types.get(name)?.elements === "spikes") countSpikes(y.data)
            return y
          }
          default:
            throw new Error(`the tape has no op ${op}`)
        }
      }
      values.set(name, compute())
    }
    return values.get(graph.output)!
  }

  const lossOf = ({ shape, data }: Tensor, loss: Loss, terms = timeSteps): Scalar => {
    const classes = product(shape) / batchSize
    const rows = Array.from({ length: batchSize }, (_, n) => {
      const row = data.slice(n * classes, (n + 1) * classes)
      const label = labels[n]!
      const largest = tape.number(Math.max(...row.map((logit) => tape.value(logit))))
      const total = tape.sum(row.map((logit) => tape.exp(tape.subtract(logit, largest))))
      const crossEntropy = tape.subtract(tape.add(tape.log(total), largest), row[label]!)
      const target = row.map((_, c) => tape.number(loss.target === "ones" || c === label ? 1 : 0))
      const squaredError = mean(row.map((logit, c) => tape.power(tape.subtract(logit, target[c]!), 2)))
      return tape.add(tape.times(crossEntropy, 1 - loss.mix), tape.times(squaredError, loss.mix))
    })
    return tape.times(mean(rows), 1 / terms)
  }

  const outs: Array<Tensor> = []
  let outputs: ReadonlyArray<number> | undefined
  for (let t = 0; t < timeSteps; t++) {
    const out = step(t)
    outs.push(out)
    outputs = out.data.map((logit, i) => (outputs?.[i] ?? 0) + tape.value(logit))
  }
  /** At the rates the loss is that of the steps' mean output. */
  const ofMean = (of: Loss): Scalar => {
    const { shape, data } = step(timeSteps, true)
    return lossOf({ shape, data: data.map((logit, i) => tape.map(logit, outputs![i]! / timeSteps, 1)) }, of, 1)
  }
  const sumOf = (which: ReadonlyArray<number>, of: Loss) => tape.sum(which.map((t) => lossOf(outs[t]!, of)))
  const { loss: whole, objective } = unrolling.rates
    ? ((one: Scalar) => ({ loss: one, objective: one }))(ofMean(loss as Loss))
    : Array.isArray(loss)
      ? lossOfTerms(loss, {
          ...{ tape, timeSteps, batchSize, trained, labels, targets: unrolling.targets ?? [], near },
          ...{ output: graph.output, spiking: [...spikeCounts.keys()] },
          valueAt: (node, t) => past[t]!.get(node)!.data,
        })
      : { loss: sumOf(integers(0, timeSteps), loss as Loss), objective: sumOf(trained, loss as Loss) }
  const read = (gradient: Float64Array) =>
    new Map([...weights].map(([name, { data }]) => [name, data.map((place) => gradient[place]!)]))
  return {
    loss: tape.value(whole),
    objective: tape.value(objective),
    outputs: outputs!,
    firingRates: [...spikeCounts.values()],
    gradients: read(tape.gradient(objective)),
    magnitudes: read(tape.gradient(objective, true)),
    statistics,
    margin,
  }
}

/** How much of its membrane, or its first state, a cell keeps, where no gradient goes through spikes. */
const decayOf = (cell: CellAttributes, given: (leaf: string) => number): number => {
  const k = Math.max(0, cell.states.indexOf("membrane"))
  if (cell.states.length === 0) return 0
  const tape = new Tape()
  const state = tape.number(0)
  const leaf = (name: string) => (name === `s.${k}` ? state : tape.number(name.startsWith("p") ? given(name) : 0))
  const { states } = runCell(cell, { tape, leaf, isCut: () => true, near: () => {} })
  return tape.gradient(states[k]!)[state]!
}

const hasState = (op: string, attributes: unknown): boolean =>
  op === "elementwise" && (attributes as CellAttributes).states.length > 0

/** Of every value the nearest nodes with a state that it comes from, in this step or in earlier ones. */
const originsOf = ({ nodes }: Graph.Graph): ((value: string) => ReadonlySet<string>) => {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  return (value) => {
    const seen = new Set<string>()
    const found = new Set<string>()
    const visit = (name: string): void => {
      const node = byName.get(name)
      if (node === undefined || seen.has(name)) return
      seen.add(name)
      if (hasState(node.op, node.attributes)) found.add(name)
      else node.inputs.forEach(visit)
    }
    visit(value)
    return found
  }
}

const integers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, i) => from + i)

type Extents = number | readonly [number, number]

/** Attributes of all ops, as the graph holds them. */
interface Attributes {
  readonly kernelSize: Extents
  readonly stride: Extents
  readonly padding: Extents | readonly [readonly [number, number], readonly [number, number]]
  readonly dilation?: Extents
  readonly spread?: Extents
  readonly groups?: number
  readonly outputSize: Extents
  readonly shape: ReadonlyArray<number>
  readonly rate: number
  readonly factor: number
  readonly decay?: number
  readonly threshold: number
  readonly reset: "soft" | "hard" | "none"
  readonly surrogate: { readonly name: string; readonly alpha: number; readonly width: number }
  readonly smooth?: true
  readonly steps: number
  readonly edge: string
  readonly scaleFactor: Extents
  readonly axes: ReadonlyArray<number>
  readonly axis: number
  readonly start: number
  readonly end: number
}
