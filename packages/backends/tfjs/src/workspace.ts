/**
 * What a composition works with: TensorFlow.js's kernels as methods. What they make is disposed of when the instruction ends,
 * unless it is kept.
 */
import type { Engine, Tensor } from "./engine.ts"

export type { Tensor } from "./engine.ts"

/** Zeros before and after, on each side of an image. */
export interface Padding {
  readonly top: number
  readonly bottom: number
  readonly left: number
  readonly right: number
}

export interface Convolution {
  readonly stride?: number
  readonly dilation?: number
  readonly padding?: Padding
}

/** The same padding on all sides. */
export const around = (padding: number): Padding => ({ top: padding, bottom: padding, left: padding, right: padding })

export class Workspace {
  private owned = new Set<Tensor>()

  constructor(readonly engine: Engine) {}

  /** Runs a kernel of TensorFlow.js. */
  call(kernel: string, inputs: Readonly<Record<string, Tensor | undefined>>, attributes?: object): Tensor {
    const tensor = this.engine.run(kernel, inputs, attributes)
    this.owned.add(tensor)
    return tensor
  }

  /** A reference that outlives the instruction. */
  keep(tensor: Tensor): Tensor {
    return this.owned.delete(tensor) ? tensor : this.engine.share(tensor)
  }

  /** Disposes of an intermediate tensor early, to keep the peak of memory low. */
  free(tensor: Tensor): void {
    if (this.owned.delete(tensor)) this.engine.dispose(tensor)
  }

  /** Disposes of all that was not kept. */
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
    return this.create([], Float32Array.of(value))
  }

  fill(shape: ReadonlyArray<number>, value: number): Tensor {
    return this.call("Fill", {}, { shape: [...shape], value, dtype: "float32" })
  }

  /** What is made of a weight and holds as long as the weight does not change. */
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

  /** One row for each pixel or sample, one column for each channel. */
  rows(x: Tensor, channels = x.shape.at(-1) ?? 1): Tensor {
    return this.reshape(x, elements(x) / channels, channels)
  }

  add = (a: Tensor, b: Tensor | number): Tensor => this.binary("Add", a, b)
  sub = (a: Tensor | number, b: Tensor | number): Tensor => this.binary("Sub", a, b)
  mul = (a: Tensor | number, b: Tensor): Tensor => this.binary("Multiply", a, b)
  div = (a: Tensor | number, b: Tensor | number): Tensor => this.binary("RealDiv", a, b)
  minimum = (a: Tensor, b: number): Tensor => this.binary("Minimum", a, b)
  maximum = (a: Tensor, b: number): Tensor => this.binary("Maximum", a, b)
  /** 1 where the comparison holds, else 0. */
  greaterEqual = (a: Tensor, b: Tensor | number): Tensor => this.number(this.binary("GreaterEqual", a, b))
  lessEqual = (a: Tensor, b: Tensor | number): Tensor => this.number(this.binary("LessEqual", a, b))
  equal = (a: Tensor, b: Tensor): Tensor => this.number(this.binary("Equal", a, b))
  abs = (x: Tensor): Tensor => this.call("Abs", { x })
  sign = (x: Tensor): Tensor => this.call("Sign", { x })
  exp = (x: Tensor): Tensor => this.call("Exp", { x })
  log = (x: Tensor): Tensor => this.call("Log", { x })
  sqrt = (x: Tensor): Tensor => this.call("Sqrt", { x })
  square = (x: Tensor): Tensor => this.mul(x, x)
  sigmoid = (x: Tensor): Tensor => this.call("Sigmoid", { x })
  atan = (x: Tensor): Tensor => this.call("Atan", { x })

  sum(x: Tensor, axis: number, keepDims = false): Tensor {
    return this.call("Sum", { x }, { axis: [axis], keepDims })
  }

  /** The sum of all elements, row by row. */
  total(x: Tensor): Tensor {
    const rows = this.reshape(x, x.shape[0] ?? 1, elements(x) / (x.shape[0] ?? 1))
    return this.sum(this.sum(rows, 1), 0)
  }

  max(x: Tensor, axis: number): Tensor {
    return this.call("Max", { x }, { reductionIndices: [axis], keepDims: true })
  }

  /** a·b + bias of matrices. */
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

  /** The first element of a vector at `index`, as a vector of one. */
  at(x: Tensor, index: number): Tensor {
    return this.slice(x, [index], [1])
  }

  conv2d(
    x: Tensor,
    filter: Tensor,
    { stride = 1, dilation = 1, padding = around(0) }: Convolution,
    bias?: Tensor,
  ): Tensor {
    const { top, bottom, left, right } = padding
    return this.call(
      "FusedConv2D",
      { x, filter, bias },
      {
        strides: [stride, stride],
        dilations: [dilation, dilation],
        pad: [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ],
        dataFormat: "NHWC",
        activation: "linear",
      },
    )
  }

  private binary(kernel: string, a: Tensor | number, b: Tensor | number): Tensor {
    return this.call(kernel, { a: this.operand(a), b: this.operand(b) })
  }

  private operand(x: Tensor | number): Tensor {
    return typeof x === "number" ? this.scalar(x) : x
  }

  private number(x: Tensor): Tensor {
    return this.call("Cast", { x }, { dtype: "float32" })
  }
}

export const elements = ({ shape }: Tensor): number => shape.reduce((product, extent) => product * extent, 1)
