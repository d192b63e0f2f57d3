/**
 * Fuses pairs of instructions: the second runs as an epilogue on each element that the first stores. The intermediate is not written
 * if nothing else reads it.
 *
 * A neuron thus updates and fires in the convolution that feeds it; its backward pass runs in the pool or convolution that produces
 * its gradient.
 */
import { type AnyKernel, kernels, Program, Shape } from "@spikeroute/core"
import { type GpuInstruction, gpuInstruction, type Ref } from "./gpu-instruction.ts"
import { spikesAndPool } from "./kernels/expressions.ts"
import { wgslKernels } from "./kernels/index.ts"
import { accessorsOf, type Epilogue, type Operand, Operands, rounded, type Stage, type Target } from "./shader.ts"

type Refs = Readonly<Record<string, Ref>>

/** Kernels that store each element of this operand exactly once and never read it back. */
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
  "elementwise.forward": "y",
  rearrange: "y",
}

/** Kernels that read these operands only at the element being computed, provided that their single stage has an `each`. */
const consumers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "elementwise.forward": ["x0", "x1", "x2"],
  "elementwise.backward": ["dy"],
}

/** Producers whose workgroups can pack spikes into words. */
const packsSpikes: ReadonlySet<string> = new Set([
  "linear.forward",
  "conv2d.forward",
  "batchNorm.forward",
  "batchNorm.inference",
  "elementwise.forward",
  "rearrange",
])

const accessOf = (kernel: string, operand: string): string =>
  (kernels.get(kernel) as AnyKernel).operands[operand] as string

/** Whether a kernel writes an operand. */
export const changes = (kernel: string, operand: string): boolean => !accessOf(kernel, operand).startsWith("read")

export const fuser = (program: Program.Program, adapter: Target) => {
  const { buffers, segments } = program
  /** Number of instructions that use a buffer. */
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
  /** The operands that are present, in the kernel's order. */
  const refsOf = ({ kernel, operands }: Program.Instruction): Refs =>
    Object.fromEntries(
      Object.keys((kernels.get(kernel) as AnyKernel).operands)
        .filter((name) => name in operands)
        .map((name) => [name, operands[name] as Ref]),
    )
  const typed = (refs: Refs): Operands =>
    new Operands(Object.fromEntries(Object.entries(refs).map(([name, ref]) => [name, operandOf(ref)])), adapter)

  const single = (instruction: Program.Instruction): { readonly refs: Refs; readonly instruction: GpuInstruction } => {
    const refs = refsOf(instruction)
    const operands = typed(refs)
    const stages = wgslKernels.get(instruction.kernel)!(operands, instruction.attributes)
    return { refs, instruction: gpuInstruction([instruction], refs, operands, stages) }
  }

  /** Whether the instructions have no data hazard except through buffer `between`, which the first writes and the second reads. */
  const areIndependent = (first: Program.Instruction, second: Program.Instruction, between: number): boolean =>
    Object.entries(second.operands).every(([name, { buffer }]) =>
      Object.entries(first.operands).every(
        ([own, ref]) =>
          ref.buffer !== buffer ||
          (buffer === between
            ? changes(first.kernel, own) && !changes(second.kernel, name)
            : !changes(first.kernel, own) && !changes(second.kernel, name)),
      ),
    )

  const fuseConsumer = (first: Program.Instruction, second: Program.Instruction): GpuInstruction | undefined => {
    const made = producers[first.kernel]
    const target = made && first.operands[made]
    if (!target || target.lag) return undefined
    const { shape, elements } = buffers[target.buffer] as Program.Buffer
    const taken = consumers[second.kernel]?.find((name) => second.operands[name]?.buffer === target.buffer)
    if (elements === "spikes" || taken === undefined || second.operands[taken]?.lag) return undefined
    if (!areIndependent(first, second, target.buffer)) return undefined
    if (Object.entries(second.operands).some(([name, ref]) => name !== taken && ref.buffer === target.buffer))
      return undefined
    const consumer = single(second)
    const { stages: next } = consumer.instruction
    const each = next.length === 1 ? next[0]?.each : undefined
    if (each?.count !== Shape.size(shape)) return undefined
    const { [taken]: _, ...rest } = consumer.refs
    if (each.spikes !== undefined) {
      const lastOf = (ref: Ref) => (buffers[ref.buffer] as Program.Buffer).shape.at(-1)
      if (!packsSpikes.has(first.kernel) || lastOf(target) !== lastOf(rest[each.spikes] as Ref)) return undefined
    }
    const stores = !isBetween(target.buffer)
    const epilogue: Epilogue = {
      text: textOf(typed(rest), taken, each),
      stores,
      spikes: each.spikes && `epilogue_${each.spikes}`,
    }
    const own = refsOf(first)
    const producing = typed(own)
    const operands = new Operands({ ...producing.byName, [made]: { ...producing.get(made), epilogue } }, adapter)
    const refs = {
      ...(stores ? own : Object.fromEntries(Object.entries(own).filter(([name]) => name !== made))),
      ...Object.fromEntries(Object.entries(rest).map(([name, ref]) => [`epilogue_${name}`, ref])),
    }
    const stages = wgslKernels.get(first.kernel)!(operands, first.attributes)
    return gpuInstruction([first, second], refs, operands, stages)
  }

  const fusePool = (first: Program.Instruction, second: Program.Instruction): GpuInstruction | undefined => {
    if (!Program.isOf(first, "elementwise.forward") || !Program.isOf(second, "averagePool.forward")) return undefined
    const { y } = first.operands
    if (y === undefined || y.buffer !== second.operands.x?.buffer || second.operands.x.lag) return undefined
    if (!areIndependent(first, second, y.buffer)) return undefined
    const refs = { ...refsOf(first), pooled: second.operands.y as Ref }
    const operands = typed(refs)
    const stages = spikesAndPool(operands, first.attributes, second.attributes)
    return stages && gpuInstruction([first, second], refs, operands, stages)
  }

  /** Fuses the instructions of a segment where possible. */
  return (instructions: ReadonlyArray<Program.Instruction>): ReadonlyArray<GpuInstruction> => {
    const result: Array<GpuInstruction> = []
    for (let i = 0; i < instructions.length; i++) {
      const first = instructions[i] as Program.Instruction
      const second = instructions[i + 1]
      const fused = second && (fuseConsumer(first, second) ?? fusePool(first, second))
      result.push(fused ?? single(first).instruction)
      if (fused) i++
    }
    return result
  }
}

/** WGSL of an epilogue: `epilogue_apply(i, value)` processes element i. Its operands are prefixed with `epilogue_`. */
const textOf = (
  operands: Operands,
  taken: string,
  { body, declarations, spikes }: NonNullable<Stage["each"]>,
): string => {
  const prefixed = new Operands(
    Object.fromEntries(Object.entries(operands.byName).map(([name, operand]) => [`epilogue_${name}`, operand])),
    operands.target,
  )
  const names = [...Object.keys(operands.byName), taken].join("|")
  const calls = new RegExp(`\\b(load|store|add|word|set_word)_(${names})\\b`, "g")
  // The producer may declare functions of the same names.
  const functions = [...declarations.matchAll(/\bfn (\w+)/g)].map(([, name]) => name)
  const own = new RegExp(`\\b(${["each", ...functions].join("|")})\\b(?=\\()`, "g")
  const next = `${declarations}
fn each(i: u32) {
  ${spikes === undefined ? body : `var fires = false;\n${body}\nepilogue_fires = fires;`}
}`
    .replaceAll(calls, "$1_epilogue_$2")
    .replaceAll(own, "epilogue_$1")
  return `${accessorsOf(prefixed)}
var<private> epilogue_value: f32;
${spikes === undefined ? "" : "var<private> epilogue_fires: bool;"}
fn load_epilogue_${taken}(i: u32) -> f32 { return epilogue_value; }
${next}
fn epilogue_apply(i: u32, value: f32) { epilogue_value = ${rounded("value")}; epilogue_each(i); }`
}
