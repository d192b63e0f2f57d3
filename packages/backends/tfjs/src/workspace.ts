/** TensorFlow.js's kernels as methods, for compositions. Results are disposed of at the end of the instruction unless kept. */
import type { Engine, Tensor } from "./engine.ts"

export type { Tensor } from "./engine.ts"

export class Workspace {
  private owned = new Set<Tensor>()

  constructor(readonly engine: Engine) {}

  /** Runs a TensorFlow.js kernel. */
  call(kernel: string, inputs: Readonly<Record<string, Tensor | undefined>>, attributes?: object): Tensor {
    const tensor = this.engine.run(kernel, inputs, attributes)
    this.owned.add(tensor)
    return tensor
  }

  /** A reference that outlives the instruction. */
  keep(tensor: Tensor): Tensor {
    return this.owned.delete(tensor) ? tensor : this.engine.share(tensor)
  }

  /** Disposes of an intermediate early, to lower peak memory. */
  free(tensor: Tensor): void {
    if (this.owned.delete(tensor)) this.engine.dispose(tensor)
  }

  /** Applies steps in sequence and frees each intermediate at once: chains over whole layers determine peak memory. */
  chain(x: Tensor, ...steps: ReadonlyArray<(x: Tensor) => Tensor>): Tensor {
    return steps.reduce((input, step) => {
      const output = step(input)
      if (input !== x && input.dataId !== output.dataId) this.free(input)
      return output
    }, x)
  }

  /** Disposes of everything that was not kept. */
  end(): void {
    for (const tensor of this.owned) this.engine.dispose(tensor)
    this.owned.clear()
  }

  create(shape: ReadonlyArray<number>, values?: Float32Array): Tensor {
    const tensor = this.engine.create(shape, values)
    this.owned.add(tensor)
    return tensor
  }

  scalar(value: number): Tensor {
    // A new scalar would be an upload, which stalls a GPU between kernels.
    if (this.engine.later) return this.engine.constant(value)
    return this.create([], Float32Array.of(value))
  }

  fill(shape: ReadonlyArray<number>, value: number): Tensor {
    return this.call("Fill", {}, { shape: [...shape], value, dtype: "float32" })
  }

  /** A tensor derived from a weight, cached until the weight changes. */
  derive(source: Tensor, name: string, make: () => Tensor): Tensor {
    return this.engine.derive(source, name, () => this.keep(make()))
  }

  /** The same data under another shape. */
  reshape({ dataId, dtype }: Tensor, ...shape: Array<number>): Tensor {
    return { dataId, dtype, shape }
  }

  flat(x: Tensor): Tensor {
    return this.reshape(x, elements(x))
  }

  /** A matrix with one row per pixel or sample and one column per channel. */
  rows(x: Tensor, channels = x.shape.at(-1) ?? 1): Tensor {
    return this.reshape(x, elements(x) / channels, channels)
  }

  add = (a: Tensor, b: Tensor | number): Tensor => this.binary("Add", a, b)
  sub = (a: Tensor | number, b: Tensor | number): Tensor => this.binary("Sub", a, b)
  mul = (a: Tensor | number, b: Tensor): Tensor => (a === 1 ? b : this.binary("Multiply", a, b))
  div = (a: Tensor | number, b: Tensor | number): Tensor => this.binary("RealDiv", a, b)
  clip = (x: Tensor, clipValueMin: number, clipValueMax: number): Tensor =>
    this.call("ClipByValue", { x }, { clipValueMin, clipValueMax })
  relu = (x: Tensor): Tensor => this.call("Relu", { x })
  equal = (a: Tensor, b: Tensor): Tensor => this.number(this.binary("Equal", a, b))
  abs = (x: Tensor): Tensor => this.call("Abs", { x })
  sign = (x: Tensor): Tensor => this.call("Sign", { x })
  exp = (x: Tensor): Tensor => this.call("Exp", { x })
  log = (x: Tensor): Tensor => this.call("Log", { x })
  sqrt = (x: Tensor): Tensor => this.call("Sqrt", { x })
  square = (x: Tensor): Tensor => this.mul(x, x)
  sigmoid = (x: Tensor): Tensor => this.call("Sigmoid", { x })
  atan = (x: Tensor): Tensor => this.call("Atan", { x })

  /** 1 if x > 0, else 0; 0 for NaN. */
  positive(x: Tensor): Tensor {
    // In WebAssembly comparisons are thirty times slower than this; the step function alone would propagate NaN.
    if (this.engine.memory)
      return this.chain(
        x,
        (y) => this.clip(y, 0, 1),
        (y) => this.call("Step", { x: y }, { alpha: 0 }),
      )
    return this.number(this.binary("Greater", x, 0))
  }

  /** 1 if a > b, else 0. */
  greater(a: Tensor | number, b: Tensor | number): Tensor {
    if (this.engine.memory) return this.chain(this.sub(a, b), (z) => this.positive(z))
    return this.number(this.binary("Greater", a, b))
  }

  /** 1 if a ≥ b, else 0; may be 0 for two infinities. */
  atLeast(a: Tensor | number, b: Tensor | number): Tensor {
    if (this.engine.memory)
      return this.chain(
        this.sub(a, b),
        // Adding the smallest subnormal makes 0 positive but no negative number.
        (z) => this.add(z, 2 ** -149),
        (z) => this.positive(z),
      )
    return this.number(this.binary("GreaterEqual", a, b))
  }

  /** `a` where the condition is not 0, else `b`; all of the same length. */
  select(condition: Tensor, a: Tensor, b: Tensor): Tensor {
    return this.call("Select", { condition: this.binary("NotEqual", condition, 0), t: a, e: b })
  }

  /** Repeats a vector to length `count`. */
  repeat(x: Tensor, count: number): Tensor {
    const length = elements(x)
    if (length === count) return x
    const rows = this.call("Tile", { x: this.reshape(x, 1, length) }, { reps: [count / length, 1] })
    return this.flat(rows)
  }

  /** Concatenates tensors along an axis. */
  join(parts: ReadonlyArray<Tensor>, axis: number): Tensor {
    if (parts.length === 1) return parts[0] as Tensor
    // TensorFlow.js expects an array here.
    return this.call("Concat", parts as unknown as Readonly<Record<string, Tensor>>, { axis })
  }

  /** Concatenates vectors. */
  concatenate(parts: ReadonlyArray<Tensor>): Tensor {
    return this.join(parts, 0)
  }

  sum(x: Tensor, axis: number, keepDims = false): Tensor {
    return this.call("Sum", { x }, { axis: [axis], keepDims })
  }

  /** The sum of all elements, as a scalar. */
  total(x: Tensor): Tensor {
    const { memory } = this.engine
    if (memory) return this.scalar(sum(memory(x)))
    const rows = this.reshape(x, x.shape[0] ?? 1, elements(x) / (x.shape[0] ?? 1))
    return this.sum(this.sum(rows, 1), 0)
  }

  /**
   * The sum of all rows of a matrix. TensorFlow.js would transpose the matrix and sum in float32; if memory is accessible, one pass in
   * JavaScript is faster and sums in float64.
   */
  sumRows(x: Tensor): Tensor {
    const { memory } = this.engine
    if (!memory) return this.sum(x, 0)
    const columns = x.shape[1] as number
    return this.create([columns], Float32Array.from(sumRows(memory(x), columns)))
  }

  max(x: Tensor, axis: number): Tensor {
    return this.call("Max", { x }, { reductionIndices: [axis], keepDims: true })
  }

  /** a·b + bias. */
  matMul(a: Tensor, b: Tensor, bias?: Tensor): Tensor {
    const [rows, inner] = a.shape as [number, number]
    const columns = b.shape[1] as number
    const y = this.call(
      "_FusedMatMul",
      { a: this.reshape(a, 1, rows, inner), b: this.reshape(b, 1, inner, columns), bias },
      { transposeA: false, transposeB: false, activation: "linear" },
    )
    return Object.assign(y, { shape: [rows, columns] })
  }

  transpose(x: Tensor, ...perm: Array<number>): Tensor {
    return this.call("Transpose", { x }, { perm })
  }

  reverse(x: Tensor, ...dims: Array<number>): Tensor {
    return this.call("Reverse", { x }, { dims })
  }

  pad(x: Tensor, paddings: ReadonlyArray<readonly [number, number]>, constantValue = 0): Tensor {
    return this.call("PadV2", { x }, { paddings, constantValue })
  }

  slice(x: Tensor, begin: ReadonlyArray<number>, size: ReadonlyArray<number>): Tensor {
    return this.call("Slice", { x }, { begin: [...begin], size: [...size] })
  }

  /** The element of a vector at `index`, as a vector of one. */
  at(x: Tensor, index: number): Tensor {
    return this.slice(x, [index], [1])
  }

  binary(kernel: string, a: Tensor | number, b: Tensor | number): Tensor {
    return this.call(kernel, { a: this.operand(a), b: this.operand(b) })
  }

  private number(x: Tensor): Tensor {
    const y = this.call("Cast", { x }, { dtype: "float32" })
    // On a GPU the cast only relabels the type, which some kernels cannot handle: the multiplication creates a float tensor.
    return this.engine.later ? this.binary("Multiply", y, 1) : y
  }

  private operand(x: Tensor | number): Tensor {
    return typeof x === "number" ? this.scalar(x) : x
  }
}

/** Four independent sums: a single one would wait for each addition. */
const sum = (values: Float32Array): number => {
  const whole = values.length & ~3
  let [a, b, c, d] = [0, 0, 0, 0]
  for (let i = 0; i < whole; i += 4) {
    a += values[i]!
    b += values[i + 1]!
    c += values[i + 2]!
    d += values[i + 3]!
  }
  for (let i = whole; i < values.length; i++) a += values[i]!
  return a + b + (c + d)
}

const sumRows = (values: Float32Array, columns: number): Float64Array => {
  const sums = new Float64Array(columns)
  for (let i = 0; i < values.length; i += columns) for (let c = 0; c < columns; c++) sums[c]! += values[i + c]!
  return sums
}

export const elements = ({ shape }: { readonly shape: ReadonlyArray<number> }): number =>
  shape.reduce((product, extent) => product * extent, 1)
