/**
 * Instructions that become one: what is next takes each element as it is stored, and what lies between them is never written
 * where nothing else reads it.
 *
 * So a neuron charges and fires behind the convolution that feeds it, and its backward direction follows the pool or the
 * convolution that its gradient comes from.
 */
import { type AnyKernel, kernels, Program, Shape } from "@spikeroute/core"
import { spikesAndPool } from "./kernels/expressions.ts"
import { wgslKernels } from "./kernels/index.ts"
import { accessorsOf, type Operand, Operands, rounded, type Stage, type Target, type Then } from "./shader.ts"
import { type Ref, type Work, workOf } from "./work.ts"

type Refs = Readonly<Record<string, Ref>>

/** Kernels that store each element of an operand once and do not look at it again. */
const producers: Readonly<Record<string, string>> = {
  "linear.forward": "y",
  "linear.inputGradient": "inputGradient",
  "conv2d.forward": "y",
  "conv2d.inputGradient": "inputGradient",
  "averagePool.forward": "y",
  "averagePool.backward": "inputGradient",
  "adaptiveAveragePool.forward": "y",
  "adaptiveAveragePool.backward": "inputGradient",
  "maxPool.backward": "inputGradient",
  "batchNorm.forward": "y",
  "batchNorm.inference": "y",
  "batchNorm.backward": "inputGradient",
  "add.forward": "y",
  "elementwise.forward": "y",
}

/** Kernels whose one stage reads these operands at the element that it treats and nowhere else, wherever that stage has an `each`. */
const consumers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "add.forward": ["a"],
  "elementwise.forward": ["x0", "x1", "x2"],
  "elementwise.backward": ["dy"],
}

/** Producers whose workgroups bring spikes together in words. */
const packs: ReadonlySet<string> = new Set([
  "linear.forward",
  "conv2d.forward",
  "batchNorm.forward",
  "batchNorm.inference",
  "add.forward",
  "elementwise.forward",
])

const accessOf = (kernel: string, operand: string): string =>
  (kernels.get(kernel) as AnyKernel).operands[operand] as string

/** Whether a kernel changes an operand. */
export const changes = (kernel: string, operand: string): boolean => !accessOf(kernel, operand).startsWith("read")

export const fuser = (program: Program.Program, adapter: Target) => {
  const { buffers, segments } = program
  /** How many instructions use a buffer. */
  const uses = new Map<number, number>()
  for (const { operands } of Object.values(segments).flat())
    for (const buffer of new Set(Object.values(operands).map((ref) => ref.buffer)))
      uses.set(buffer, (uses.get(buffer) ?? 0) + 1)
  const isBetween = (buffer: number): boolean =>
    (buffers[buffer] as Program.Buffer).kind === "scratch" && uses.get(buffer) === 2

  const operandOf = ({ buffer, accumulate }: Ref): Operand => {
    const { shape, elements } = buffers[buffer] as Program.Buffer
    return { shape, elements, accumulate: accumulate === true }
  }
  /** The operands that are there, in the kernel's order. */
  const refsOf = ({ kernel, operands }: Program.Instruction): Refs =>
    Object.fromEntries(
      Object.keys((kernels.get(kernel) as AnyKernel).operands)
        .filter((name) => name in operands)
        .map((name) => [name, operands[name] as Ref]),
    )
  const typed = (refs: Refs): Operands =>
    new Operands(Object.fromEntries(Object.entries(refs).map(([name, ref]) => [name, operandOf(ref)])), adapter)

  const single = (instruction: Program.Instruction): { readonly refs: Refs; readonly work: Work } => {
    const refs = refsOf(instruction)
    const operands = typed(refs)
    const stages = wgslKernels.get(instruction.kernel)!(operands, instruction.attributes)
    return { refs, work: workOf([instruction], refs, operands, stages) }
  }

  /** Whether the two share nothing that one of them changes but buffer `between`, which the first makes and the second reads. */
  const areApart = (first: Program.Instruction, second: Program.Instruction, between: number): boolean =>
    Object.entries(second.operands).every(([name, { buffer }]) =>
      Object.entries(first.operands).every(
        ([own, ref]) =>
          ref.buffer !== buffer ||
          (buffer === between
            ? changes(first.kernel, own) && !changes(second.kernel, name)
            : !changes(first.kernel, own) && !changes(second.kernel, name)),
      ),
    )

  const behind = (first: Program.Instruction, second: Program.Instruction): Work | undefined => {
    const made = producers[first.kernel]
    const target = made && first.operands[made]
    if (!target || target.lag) return undefined
    const { shape, elements } = buffers[target.buffer] as Program.Buffer
    const taken = consumers[second.kernel]?.find((name) => second.operands[name]?.buffer === target.buffer)
    if (elements === "spikes" || taken === undefined || second.operands[taken]?.lag) return undefined
    if (!areApart(first, second, target.buffer)) return undefined
    if (Object.entries(second.operands).some(([name, ref]) => name !== taken && ref.buffer === target.buffer))
      return undefined
    const consumer = single(second)
    const { stages: next } = consumer.work
    const each = next.length === 1 ? next[0]?.each : undefined
    if (each?.count !== Shape.size(shape)) return undefined
    const { [taken]: _, ...rest } = consumer.refs
    if (each.spikes !== undefined) {
      const lastOf = (ref: Ref) => (buffers[ref.buffer] as Program.Buffer).shape.at(-1)
      if (!packs.has(first.kernel) || lastOf(target) !== lastOf(rest[each.spikes] as Ref)) return undefined
    }
    const stores = !isBetween(target.buffer)
    const then: Then = { text: textOf(typed(rest), taken, each), stores, spikes: each.spikes && `then_${each.spikes}` }
    const own = refsOf(first)
    const producing = typed(own)
    const operands = new Operands({ ...producing.byName, [made]: { ...producing.get(made), then } }, adapter)
    const refs = {
      ...(stores ? own : Object.fromEntries(Object.entries(own).filter(([name]) => name !== made))),
      ...Object.fromEntries(Object.entries(rest).map(([name, ref]) => [`then_${name}`, ref])),
    }
    const stages = wgslKernels.get(first.kernel)!(operands, first.attributes)
    return workOf([first, second], refs, operands, stages)
  }

  const pooled = (first: Program.Instruction, second: Program.Instruction): Work | undefined => {
    if (!Program.isOf(first, "elementwise.forward") || !Program.isOf(second, "averagePool.forward")) return undefined
    const { y } = first.operands
    if (y === undefined || y.buffer !== second.operands.x?.buffer || second.operands.x.lag) return undefined
    if (!areApart(first, second, y.buffer)) return undefined
    const refs = { ...refsOf(first), pooled: second.operands.y as Ref }
    const operands = typed(refs)
    const stages = spikesAndPool(operands, first.attributes, second.attributes)
    return stages && workOf([first, second], refs, operands, stages)
  }

  /** A segment's instructions, those that can be one as one. */
  return (instructions: ReadonlyArray<Program.Instruction>): ReadonlyArray<Work> => {
    const works: Array<Work> = []
    for (let i = 0; i < instructions.length; i++) {
      const first = instructions[i] as Program.Instruction
      const second = instructions[i + 1]
      const fused = second && (behind(first, second) ?? pooled(first, second))
      works.push(fused ?? single(first).work)
      if (fused) i++
    }
    return works
  }
}

/** WGSL of what is next, its operands' names beginning with `then_`: `then_take` treats element i, whose value is given. */
const textOf = (
  operands: Operands,
  taken: string,
  { body, declarations, spikes }: NonNullable<Stage["each"]>,
): string => {
  const prefixed = new Operands(
    Object.fromEntries(Object.entries(operands.byName).map(([name, operand]) => [`then_${name}`, operand])),
    operands.target,
  )
  const names = [...Object.keys(operands.byName), taken].join("|")
  const calls = new RegExp(`\\b(load|store|add|word|set_word)_(${names})\\b`, "g")
  // What comes before may declare functions of the same names.
  const functions = [...declarations.matchAll(/\bfn (\w+)/g)].map(([, name]) => name)
  const own = new RegExp(`\\b(${["each", ...functions].join("|")})\\b(?=\\()`, "g")
  const next = `${declarations}
fn each(i: u32) {
  ${spikes === undefined ? body : `var fires = false;\n${body}\nthen_fires = fires;`}
}`
    .replaceAll(calls, "$1_then_$2")
    .replaceAll(own, "then_$1")
  return `${accessorsOf(prefixed)}
var<private> then_value: f32;
${spikes === undefined ? "" : "var<private> then_fires: bool;"}
fn load_then_${taken}(i: u32) -> f32 { return then_value; }
${next}
fn then_take(i: u32, value: f32) { then_value = ${rounded("value")}; then_each(i); }`
}
