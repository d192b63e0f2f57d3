/**
 * What kernels write their WGSL with.
 *
 * All of a program's memory is one buffer of 32-bit words, the arena. A shader reaches its operands by functions named after
 * them; where they begin comes from a uniform, so that one pipeline serves every instruction and time step of the same shapes:
 *
 *     load_x(i)            element i as f32; of spikes 0 or 1
 *     word_x(j)            word j as it is: 32 spikes, or the bits of a number
 *     store_x(i, value)    sets element i; not of spikes
 *     add_x(i, value)      adds to element i of a gradient, or sets it where the instruction says so
 *     set_word_x(j, word)  sets word j
 *
 * Between the stages of one instruction `scratch` holds numbers. Stages of several instructions may run side by side in one
 * dispatch: see link.ts.
 */
import { type KernelAttributes, type KernelName, Shape, Spikes } from "@spikeroute/core"
import type { AdapterInfo } from "./gpu.ts"

/** An operand of an instruction: what its shader is made for. */
export interface Operand {
  readonly shape: Shape.Shape
  readonly elements: Spikes.Elements
  /** Of a gradient: it is added to rather than set. */
  readonly accumulate: boolean
  /** What is done at once with each element that is stored. */
  readonly then?: Then
}

/** A next instruction that takes elements as they are stored: see fusion.ts. */
export interface Then {
  /** Declares its operands' functions and `then_take(i, value)`. */
  readonly text: string
  /** Whether the element is stored too. */
  readonly stores: boolean
  /** Its operand of spikes, if it has one; after each element `then_fires` says whether that one fires. */
  readonly spikes: string | undefined
}

/** What shaders are made for, as an adapter says of itself. */
export type Target = Pick<AdapterInfo, "software" | "subgroups" | "limits">

/** Workgroups of a shader that go through one step of an instruction. */
export interface Stage {
  /** Declares `run(workgroup, local)`, what each thread does, and all that it calls but the memory and `threads`. */
  readonly text: string
  /** Threads of a workgroup: the text is made for so many, or if `flexible` for any power of two. */
  readonly threads: number
  readonly flexible: boolean
  readonly workgroups: (threads: number) => readonly [x: number, y: number, z: number]
  /** Numbers of scratch memory that it writes or reads. */
  readonly scratch: number
  /** Of one that treats every element by itself: what is done with element `i` of so many. */
  readonly each?: {
    readonly count: number
    readonly body: string
    readonly declarations: string
    /** The operand of spikes for which `body` sets `fires`. */
    readonly spikes?: string
  }
}

/** The operands of one instruction by name, absent ones left out. */
export class Operands {
  constructor(
    readonly byName: Readonly<Record<string, Operand>>,
    readonly target: Target,
  ) {}

  /** Workgroups that keep the GPU busy. */
  get parallelism(): number {
    return this.target.software ? 8 : 512
  }

  has(name: string): boolean {
    return name in this.byName
  }

  get(name: string): Operand {
    return this.byName[name] as Operand
  }

  size(name: string): number {
    return Shape.size(this.get(name).shape)
  }

  shape(name: string): Shape.Shape {
    return this.get(name).shape
  }

  /** The last extent: channels. */
  channels(name: string): number {
    return this.get(name).shape.at(-1) ?? 1
  }

  isSpikes(name: string): boolean {
    return this.get(name).elements === "spikes"
  }

  words(name: string): number {
    const { shape, elements } = this.get(name)
    return Spikes.byteLength(shape, elements) / 4
  }
}

/** A kernel: the stages of an instruction, from its operands and attributes. */
export type WgslKernel<A> = (operands: Operands, attributes: A) => ReadonlyArray<Stage>

/** Kernels by core's names. */
export type WgslKernels = { readonly [N in KernelName]: WgslKernel<KernelAttributes[N]> }

/** Those whose names begin so, before the dot. */
export type WgslKernelsOf<Start extends string> = Pick<WgslKernels, Extract<KernelName, `${Start}.${string}`>>

/** The numbers from 0 on: for texts that stand so many times. */
export const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** A number of float32 as WGSL writes it. */
export const float = (value: number): string => {
  const isNegative = value < 0 || Object.is(value, -0)
  const text = `${Math.abs(Math.fround(value))}f`
  return isNegative ? `(-${text})` : text
}

/** The number of a word's bits, of which the compiler knows nothing: that no place has so high a bit, it cannot know. */
export const fromWord = (word: string): string => `bitcast<f32>(${word} | (places.of_scratch >> 31u))`

/** A number that is rounded before it is used: drivers multiply and add at once where they see that what is added is a product. */
export const rounded = (text: string): string => fromWord(`bitcast<u32>(${text})`)

const accessors = (name: string, { elements, shape, accumulate, then }: Operand, place: string): string => {
  if (then !== undefined && !then.stores)
    return `
fn store_${name}(i: u32, value: f32) { then_take(i, value); }
fn add_${name}(i: u32, value: f32) { store_${name}(i, value); }${then.text}`
  const words = `
fn word_${name}(j: u32) -> u32 { return arena[${place} + j]; }
fn set_word_${name}(j: u32, word: u32) { arena[${place} + j] = word; }`
  if (elements === "spikes") {
    const channels = shape.at(-1) ?? 1
    const perRow = Spikes.wordsPerRow(channels)
    const at =
      channels % 32 === 0
        ? "let word = word_NAME(i / 32u); return f32((word >> (i & 31u)) & 1u);"
        : `let c = i % ${channels}u; let word = word_NAME(i / ${channels}u * ${perRow}u + c / 32u); return f32((word >> (c & 31u)) & 1u);`
    return `${words}
fn load_${name}(i: u32) -> f32 { ${at.replaceAll("NAME", name)} }`
  }
  return `${words}
fn load_${name}(i: u32) -> f32 { return bitcast<f32>(word_${name}(i)); }
fn store_${name}(i: u32, value: f32) { set_word_${name}(i, bitcast<u32>(value)); ${then ? "then_take(i, value); " : ""}}
fn add_${name}(i: u32, value: f32) { store_${name}(i, ${accumulate ? `load_${name}(i) + value` : "value"}); }${then?.text ?? ""}`
}

/** The functions of operands; where an operand begins is `placeOf` its name. */
export const accessorsOf = (
  { byName }: Operands,
  placeOf: (name: string) => string = (name) => `places.of_${name}`,
): string =>
  Object.entries(byName)
    .map(([name, operand]) => accessors(name, operand, placeOf(name)))
    .join("")

/** A stage's text: the operands' functions, a kernel's declarations, and what each thread does. */
export const textOf = (operands: Operands, declarations: string, body: string): string => `${accessorsOf(operands)}
${declarations}
fn run(workgroup: vec3<u32>, local: u32) {
${body}
}`

/** Workgroups to a row of the grid: what every adapter has. */
export const rowOfWorkgroups = 65535

/** A grid of at least `count` workgroups. */
export const grid = (count: number): readonly [x: number, y: number, z: number] => [
  Math.min(count, rowOfWorkgroups),
  Math.ceil(count / rowOfWorkgroups),
  1,
]

/** Sets `group`, the number of a workgroup of such a grid. */
export const setGroup = `let group = workgroup.x + workgroup.y * ${rowOfWorkgroups}u;`

/** One thread for each `i` below `count`. `declarations` stand before the entry point. */
export const forEach = (operands: Operands, count: number, body: string, declarations = "", scratch = 0): Stage => ({
  text: textOf(
    operands,
    declarations,
    `  ${setGroup}
  let i = group * threads + local;
  if (i < ${count}u) {
${body}
  }`,
  ),
  threads: 256,
  flexible: true,
  workgroups: (threads) => grid(Math.ceil(count / threads)),
  scratch,
  each: { count, body, declarations },
})

/** Threads along a row of an image. */
const imageThreads = 64

/**
 * One thread for each element `i` of a batch of images, in channel `c` of pixel (`n`, `py`, `px`). The grid is the batch's own:
 * finding the pixel takes one division.
 */
export const forEachInImage = (
  operands: Operands,
  [batch, height, width, channels]: readonly [batch: number, height: number, width: number, channels: number],
  body: string,
  declarations = "",
): Stage => ({
  text: textOf(
    operands,
    declarations,
    `  let along = workgroup.x * threads + local;
  if (along >= ${width * channels}u) { return; }
  let px = along / ${channels}u;
  let c = along - px * ${channels}u;
  let n = workgroup.z;
  let py = workgroup.y;
  let i = (n * ${height}u + py) * ${width * channels}u + along;
${body}`,
  ),
  threads: imageThreads,
  flexible: true,
  workgroups: (threads) => [Math.ceil((width * channels) / threads), height, batch],
  scratch: 0,
})

/** `total(local, value)`: the sum over the threads of a workgroup, always in the same order. */
const total = ({ subgroups }: Target) => (subgroups ? totalOfSubgroups : totalOfThreads)

/** Halving the threads, a barrier for each half. */
const totalOfThreads = `
var<workgroup> parts: array<f32, threads>;
fn total(local: u32, value: f32) -> f32 {
  workgroupBarrier();
  parts[local] = value;
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { parts[local] += parts[local + half]; }
  }
  workgroupBarrier();
  return parts[0];
}`

/** Each subgroup's own sum without a barrier, then these in order. A shuffle is no branch: all threads have to take it. */
const totalOfSubgroups = `
var<workgroup> parts: array<f32, threads>;
fn total(local: u32, value: f32) -> f32 {
  var own = value;
  for (var half = 64u; half > 0u; half /= 2u) { own += select(0f, subgroupShuffleXor(own, half), half < min(subgroup.size, threads)); }
  workgroupBarrier();
  if (subgroup.lane == 0u) { parts[subgroup.id] = own; }
  workgroupBarrier();
  var sum = 0f;
  for (var id = 0u; id < subgroup.count; id++) { sum += parts[id]; }
  return sum;
}`

/**
 * Sums: for each `group` below `count` some threads share the work, thread `local` of `adders` of them; `total` is known to `body`.
 * A GPU made of software, where barriers are dear, takes one thread for each group.
 */
export const forEachGroup = (operands: Operands, count: number, body: string, declarations = "", scratch = 0): Stage =>
  operands.target.software
    ? forEach(
        operands,
        count,
        `  let group = i;
  let local = 0u;
  let adders = 1u;
${body}`,
        `fn total(local: u32, value: f32) -> f32 { return value; }${declarations}`,
        scratch,
      )
    : {
        text: textOf(
          operands,
          `${total(operands.target)}${declarations}`,
          `  ${setGroup}
  let adders = threads;
${count > rowOfWorkgroups ? `  if (group >= ${count}u) { return; }\n` : ""}${body}`,
        ),
        threads: 64,
        flexible: true,
        workgroups: () => grid(count),
        scratch,
      }
