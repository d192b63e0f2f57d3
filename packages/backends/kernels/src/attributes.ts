/** Kernel attributes as 32-bit words, in the order of the C sources; real numbers as float32. */
import type { AttributedKernel, KernelAttributes } from "@spikeroute/core"

/** An integer, or a real number, marked as such. */
export type Word = number | { readonly float: number }

const float = (value: number): Word => ({ float: value })

type Packer<A> = (attributes: A) => ReadonlyArray<Word>

type Window = KernelAttributes["maxPool.forward"]
type Convolution = KernelAttributes["conv2d.forward"]

const movement = ({ stride, before, after, dilation }: Window["rows"]) => [stride, before, after, dilation]
const window: Packer<Window> = ({ rows, columns }) => [
  rows.kernel,
  ...movement(rows),
  columns.kernel,
  ...movement(columns),
]
const pool: Packer<KernelAttributes["averagePool.forward"]> = (attributes) => [
  ...window(attributes),
  float(attributes.share),
]
const convolution: Packer<Convolution> = ({ rows, columns, groups }) => [
  ...movement(rows),
  rows.spread,
  ...movement(columns),
  columns.spread,
  groups,
]
/** Axes of c/rearrange.c. */
const axes = 7
const rearrange: Packer<KernelAttributes["rearrange"]> = ({ from, to, axes: moved }) => [
  from,
  to,
  ...Array.from({ length: axes - moved.length }, () => [1, 0, 0]).flat(),
  ...moved.flatMap((axis) => [axis.count, axis.from, axis.to]),
]
const loss: Packer<KernelAttributes["loss.forward"]> = ({ target, mix, terms }) => [
  target === "ones" ? 0 : 1,
  float(mix),
  float(1 - mix),
  terms,
]
/** Additional attributes that encode.ts computes. */
export interface Packed {
  /** Whether the weights serve several steps of a micro-batch, so that copies derived from them are worth caching. */
  readonly stays: boolean
}

/** The kernels with attributes, and those that take additional ones. */
const packers: { readonly [N in AttributedKernel]: Packer<KernelAttributes[N]> } & {
  readonly "linear.forward": Packer<Packed>
  readonly "linear.inputGradient": Packer<Packed>
} = {
  eligibility: ({ states, first }) => [states, first],
  "linear.forward": ({ stays }) => [stays ? 1 : 0],
  "conv2d.forward": convolution,
  "linear.inputGradient": ({ stays }) => [stays ? 1 : 0],
  "conv2d.inputGradient": convolution,
  "conv2d.weightGradient": convolution,
  "batchNorm.forward": ({ updates }) => [updates],
  "averagePool.forward": pool,
  "averagePool.backward": pool,
  "maxPool.forward": window,
  "maxPool.backward": window,
  rearrange,
  // The smallest of the 24-bit uniform numbers that keeps an element.
  "dropout.mask": ({ rate }) => [Math.ceil(rate * 2 ** 24)],
  "loss.forward": loss,
  "loss.backward": loss,
  "spikes.rate": ({ index, terms }) => [index, terms],
  // encode.ts inserts the position of the expression.
  "elementwise.forward": () => [0],
  "elementwise.backward": ({ pool }) => [0, pool?.kernelSize ?? 0, pool?.height ?? 0, pool?.width ?? 0],
}

/** The attributes of an instruction as words. */
export const packAttributes = (kernel: string, attributes: object): ReadonlyArray<Word> =>
  (packers as Readonly<Record<string, Packer<object>>>)[kernel]?.(attributes) ?? []
