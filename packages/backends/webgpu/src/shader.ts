/**
 * Building blocks of WGSL kernels.
 *
 * All of a program's memory is one buffer of 32-bit words, the arena. A shader accesses its operands through functions named after
 * them. Their offsets come from a uniform, so that one pipeline serves all instructions and time steps of the same shapes:
 *
 *     load_x(i)            element i as f32; a spike is 0 or 1
 *     word_x(j)            word j: 32 spikes, or the bits of a number
 *     store_x(i, value)    sets element i; not for spikes
 *     add_x(i, value)      adds to element i of a gradient, or sets it if the instruction does not accumulate
 *     set_word_x(j, word)  sets word j
 *
 * `scratch` holds f32 values between the stages of one instruction. Stages of several instructions may share a dispatch: see link.ts.
 */
import { type KernelAttributes, type KernelName, Shape, Spikes } from "@spikeroute/core"
import type { AdapterInfo } from "./gpu.ts"

/** An operand, as far as its shader depends on it. */
export interface Operand {
  readonly shape: Shape.Shape
  readonly elements: Spikes.Elements
  /** For a gradient: whether values are added rather than set. */
  readonly accumulate: boolean
  /** A fused instruction that runs on each stored element. */
  readonly epilogue?: Epilogue
}

/** A fused instruction that consumes each element as it is stored: see fusion.ts. */
export interface Epilogue {
  /** Declares its operands' functions and `epilogue_apply(i, value)`. */
  readonly text: string
  /** Whether the element itself is stored too. */
  readonly stores: boolean
  /** Its spike operand, if any; `epilogue_fires` then says whether the last element fired. */
  readonly spikes: string | undefined
}

/** The adapter properties that shaders depend on. */
export type Target = Pick<AdapterInfo, "software" | "subgroups" | "limits">

/** One step of an instruction: a shader and its grid. */
export interface Stage {
  /** Declares `run(workgroup, local)`, the body of each thread, and everything that it calls except memory and `threads`. */
  readonly text: string
  /** Threads per workgroup: required, or if `flexible` a default that any power of two may replace. */
  readonly threads: number
  readonly flexible: boolean
  readonly workgroups: (threads: number) => readonly [x: number, y: number, z: number]
  /** Scratch elements that the stage accesses. */
  readonly scratch: number
  /** For a stage that computes each element independently: the statements for element `i` of `count`. */
  readonly each?: {
    readonly count: number
    readonly body: string
    readonly declarations: string
    /** The spike operand for which `body` sets `fires`. */
    readonly spikes?: string
  }
}

/** The operands of an instruction by name, without absent ones. */
export class Operands {
  constructor(
    readonly byName: Readonly<Record<string, Operand>>,
    readonly target: Target,
  ) {}

  /** Number of workgroups that keeps the adapter busy. */
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

  /** The last extent, which is the number of channels. */
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

/** A kernel: the stages of an instruction, given its operands and attributes. */
export type WgslKernel<A> = (operands: Operands, attributes: A) => ReadonlyArray<Stage>

/** Kernels by core's names. */
export type WgslKernels = { readonly [N in KernelName]: WgslKernel<KernelAttributes[N]> }

/** The kernels whose name starts with `Start` and a dot. */
export type WgslKernelsOf<Start extends string> = Pick<WgslKernels, Extract<KernelName, `${Start}.${string}`>>

/** The numbers 0 … count − 1. */
export const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** A float32 literal in WGSL. */
export const float = (value: number): string => {
  const isNegative = value < 0 || Object.is(value, -0)
  const text = `${Math.abs(Math.fround(value))}f`
  return isNegative ? `(-${text})` : text
}

/** The float of a word, opaque to the compiler: it cannot know that the top bit of a place is always 0. */
export const fromWord = (word: string): string => `bitcast<f32>(${word} | (places.of_scratch >> 31u))`

/** A value that is rounded before use: drivers otherwise contract a product and a sum to a fused multiply-add. */
export const rounded = (text: string): string => fromWord(`bitcast<u32>(${text})`)

const accessors = (name: string, { elements, shape, accumulate, epilogue }: Operand, place: string): string => {
  if (epilogue !== undefined && !epilogue.stores)
    return `
fn store_${name}(i: u32, value: f32) { epilogue_apply(i, value); }
fn add_${name}(i: u32, value: f32) { store_${name}(i, value); }${epilogue.text}`
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
fn store_${name}(i: u32, value: f32) { set_word_${name}(i, bitcast<u32>(value)); ${epilogue ? "epilogue_apply(i, value); " : ""}}
fn add_${name}(i: u32, value: f32) { store_${name}(i, ${accumulate ? `load_${name}(i) + value` : "value"}); }${epilogue?.text ?? ""}`
}

/** The access functions of operands; `placeOf` returns the WGSL of an operand's offset. */
export const accessorsOf = (
  { byName }: Operands,
  placeOf: (name: string) => string = (name) => `places.of_${name}`,
): string =>
  Object.entries(byName)
    .map(([name, operand]) => accessors(name, operand, placeOf(name)))
    .join("")

/** A stage's text: access functions, the kernel's declarations, and the body of each thread. */
export const textOf = (operands: Operands, declarations: string, body: string): string => `${accessorsOf(operands)}
${declarations}
fn run(workgroup: vec3<u32>, local: u32) {
${body}
}`

/** Workgroups per row of the grid: WebGPU's guaranteed maximum. */
export const rowOfWorkgroups = 65535

/** A grid of at least `count` workgroups. */
export const grid = (count: number): readonly [x: number, y: number, z: number] => [
  Math.min(count, rowOfWorkgroups),
  Math.ceil(count / rowOfWorkgroups),
  1,
]

/** Sets `group`, the index of a workgroup in such a grid. */
export const setGroup = `let group = workgroup.x + workgroup.y * ${rowOfWorkgroups}u;`

/** One thread for each `i` below `count`. */
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

/** Threads per workgroup along a row of an image. */
const imageThreads = 64

/**
 * One thread per element `i` of an image batch, at channel `c` of pixel (`n`, `py`, `px`). The grid has the batch's own axes, so
 * finding the pixel takes a single division.
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

/** `total(local, value)`: the sum over the threads of a workgroup, in a fixed order. */
const total = ({ subgroups }: Target) => (subgroups ? totalOfSubgroups : totalOfThreads)

/** Tree reduction with a barrier per level. */
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

/** Reduces each subgroup without a barrier, then adds their sums in order. All threads must execute the shuffles: no branches. */
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
 * Reductions: for each `group` below `count`, several threads share the work. `local` is the thread's index among `adders`, and
 * `total` is available to `body`. A software adapter, where barriers are expensive, uses one thread per group.
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
