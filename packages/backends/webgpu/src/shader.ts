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
 * Between the stages of one instruction `scratch` holds numbers.
 */
import { Shape, Spikes } from "@spikeroute/core"

/** An operand of an instruction: what its shader is made for. */
export interface Operand {
  readonly shape: Shape.Shape
  readonly elements: Spikes.Elements
  /** Of a gradient: it is added to rather than set. */
  readonly accumulate: boolean
}

/** One dispatch: a shader, and how many workgroups of it run. */
export interface Stage {
  readonly source: string
  readonly workgroups: readonly [x: number, y: number, z: number]
  /** Numbers of scratch memory that it writes or reads. */
  readonly scratch: number
}

/** The operands of one instruction by name, absent ones left out. */
export class Operands {
  constructor(
    readonly byName: Readonly<Record<string, Operand>>,
    /** Whether the GPU is a program on the processor. */
    readonly software: boolean,
  ) {}

  /** Workgroups that keep the GPU busy. */
  get parallelism(): number {
    return this.software ? 8 : 512
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
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from kernel to kernel
export type WgslKernel = (operands: Operands, attributes: any) => ReadonlyArray<Stage>

/** A number of float32 as WGSL writes it. */
export const float = (value: number): string => {
  const text = `${Math.fround(value)}f`
  return value < 0 ? `(${text})` : text
}

const accessors = (name: string, { elements, shape, accumulate }: Operand): string => {
  const words = `
fn word_${name}(j: u32) -> u32 { return arena[places.of_${name} + j]; }
fn set_word_${name}(j: u32, word: u32) { arena[places.of_${name} + j] = word; }`
  if (elements === "spikes") {
    const channels = shape.at(-1) ?? 1
    const perRow = Spikes.wordsPerRow(channels)
    const place =
      channels % 32 === 0
        ? "let word = word_NAME(i / 32u); return f32((word >> (i & 31u)) & 1u);"
        : `let c = i % ${channels}u; let word = word_NAME(i / ${channels}u * ${perRow}u + c / 32u); return f32((word >> (c & 31u)) & 1u);`
    return `${words}
fn load_${name}(i: u32) -> f32 { ${place.replaceAll("NAME", name)} }`
  }
  return `${words}
fn load_${name}(i: u32) -> f32 { return bitcast<f32>(word_${name}(i)); }
fn store_${name}(i: u32, value: f32) { set_word_${name}(i, bitcast<u32>(value)); }
fn add_${name}(i: u32, value: f32) { store_${name}(i, ${accumulate ? `load_${name}(i) + value` : "value"}); }`
}

/** A whole module: the memory, the operands' functions, and a kernel's own text with its entry point `main`. */
export const shader = ({ byName }: Operands, body: string): string => {
  const names = Object.keys(byName)
  return `struct Places { ${names.map((name) => `of_${name}: u32,`).join(" ")} }
@group(0) @binding(0) var<storage, read_write> arena: array<u32>;
@group(0) @binding(1) var<uniform> places: Places;
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>;
${names.map((name) => accessors(name, byName[name] as Operand)).join("")}
${body}`
}

/** Workgroups to a row of the grid: what every adapter has. */
const rowOfWorkgroups = 65535

/** A grid of at least `count` workgroups; `group` below is the number of one. */
const grid = (count: number): Stage["workgroups"] => [
  Math.min(count, rowOfWorkgroups),
  Math.ceil(count / rowOfWorkgroups),
  1,
]

const entry = (threads: number, body: string): string => `
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let group = workgroup.x + workgroup.y * ${rowOfWorkgroups}u;
${body}
}`

/** One thread for each `i` below `count`. `declarations` stand before the entry point. */
export const forEach = (operands: Operands, count: number, body: string, declarations = "", scratch = 0): Stage => ({
  source: shader(
    operands,
    `${declarations}${entry(
      256,
      `  let i = group * 256u + local;
  if (i >= ${count}u) { return; }
${body}`,
    )}`,
  ),
  workgroups: grid(Math.ceil(count / 256)),
  scratch,
})

/** Threads to a row of an image. */
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
  source: shader(
    operands,
    `${declarations}
@compute @workgroup_size(${imageThreads})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let along = workgroup.x * ${imageThreads}u + local;
  if (along >= ${width * channels}u) { return; }
  let px = along / ${channels}u;
  let c = along - px * ${channels}u;
  let n = workgroup.z;
  let py = workgroup.y;
  let i = (n * ${height}u + py) * ${width * channels}u + along;
${body}
}`,
  ),
  workgroups: [Math.ceil((width * channels) / imageThreads), height, batch],
  scratch: 0,
})

/** Sets the spikes of operand `name`: `body` sets `fires` for element `i`. */
export const forEachSpike = (operands: Operands, name: string, body: string, declarations = ""): Stage => {
  const channels = operands.channels(name)
  const perRow = Spikes.wordsPerRow(channels)
  return forEach(
    operands,
    operands.words(name),
    `  let word = i;
  let first = word % ${perRow}u * 32u;
  let start = word / ${perRow}u * ${channels}u + first;
  let count = min(32u, ${channels}u - first);
  var bits = 0u;
  for (var bit = 0u; bit < count; bit++) {
    let i = start + bit;
    var fires = false;
${body}
    bits |= select(0u, 1u, fires) << bit;
  }
  set_word_${name}(word, bits);`,
    declarations,
  )
}

/** Threads of a workgroup that adds up. */
export const summingThreads = 64

/** `total(local, value)`: the sum over the threads of a workgroup, always in the same order. */
const total = `
var<workgroup> parts: array<f32, ${summingThreads}>;
fn total(local: u32, value: f32) -> f32 {
  workgroupBarrier();
  parts[local] = value;
  for (var half = ${summingThreads / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) { parts[local] += parts[local + half]; }
  }
  workgroupBarrier();
  return parts[0];
}`

/** A workgroup for each `group` below `count`; `total` is known to `body`. */
export const forEachWorkgroup = (
  operands: Operands,
  count: number,
  body: string,
  declarations = "",
  scratch = 0,
): Stage => ({
  source: shader(
    operands,
    `${total}${declarations}${entry(summingThreads, `${count > rowOfWorkgroups ? `  if (group >= ${count}u) { return; }\n` : ""}${body}`)}`,
  ),
  workgroups: grid(count),
  scratch,
})
