/** Checks whether a program is well formed: the properties that backends rely on, also for programs read from files. */

import { Effect } from "effect"
import { aProgram, argument } from "../arguments.ts"
import { ProgramError } from "../errors.ts"
import { kernels } from "../kernels.ts"
import { byteLength } from "../spikes.ts"
import { type Buffer, bufferBytes, gradientRange, type Program, segmentNames } from "./program.ts"

/** All defects of a program, one line each. */
export const defects = (program: Program): ReadonlyArray<string> => {
  const { buffers, segments } = argument(program, aProgram)
  const found: Array<string> = []
  const written = new Set<number>()
  buffers.forEach(({ kind, role }, i) => {
    const ready =
      kind === "parameter" || kind === "statistic" || kind === "optimizer" || kind === "input" || kind === "state"
    if (ready || role === "carry") written.add(i)
  })

  for (const buffer of buffers) {
    if (buffer.offset < 0 || buffer.offset + bufferBytes(buffer) > program.arenaBytes)
      found.push(`${buffer.name} lies outside the arena`)
    if (buffer.stride < byteLength(buffer.shape, buffer.elements)) found.push(`the slots of ${buffer.name} overlap`)
  }
  for (const segment of segmentNames) {
    for (const instruction of segments[segment]) {
      const kernel = kernels.get(instruction.kernel)
      if (kernel === undefined) {
        found.push(`${segment}: there is no kernel ${instruction.kernel}`)
        continue
      }
      for (const [operand, access] of Object.entries(kernel.operands) as Array<[string, string]>) {
        const ref = instruction.operands[operand]
        const at = `${segment}: ${instruction.kernel} of ${instruction.node}: ${operand}`
        if (ref === undefined) {
          if (!access.endsWith("?")) found.push(`${at} is missing`)
          continue
        }
        const buffer = buffers[ref.buffer]
        if (buffer === undefined) {
          found.push(`${at} is buffer ${ref.buffer}, which does not exist`)
          continue
        }
        const reads = access.startsWith("read") || access.startsWith("update") || ref.accumulate === true
        if (reads && !written.has(ref.buffer)) found.push(`${at} reads ${buffer.name} before anything wrote it`)
      }
      for (const [operand, ref] of Object.entries(instruction.operands)) {
        const access: string = kernel.operands[operand] ?? ""
        if (access === "") found.push(`${segment}: ${instruction.kernel} has no operand ${operand}`)
        else if (!access.startsWith("read")) written.add(ref.buffer)
      }
    }
  }
  const gradients = gradientRange(program)
  for (const buffer of buffers) {
    const isAmong = buffer.offset >= gradients.offset && buffer.offset < gradients.offset + gradients.bytes
    if (isAmong && buffer.kind !== "gradient" && bufferBytes(buffer) > 0)
      found.push(`${buffer.name} lies among the gradients`)
  }
  const sorted = buffers.toSorted((a, b) => a.offset - b.offset)
  sorted.forEach((a, i) => {
    for (const b of sorted.slice(i + 1)) {
      if (b.offset >= a.offset + bufferBytes(a)) break
      if (aliveTogether(a, b) && bufferBytes(b) > 0)
        found.push(`${a.name} and ${b.name} are alive together and overlap`)
    }
  })
  return found
}

const aliveTogether = (a: Buffer, b: Buffer): boolean =>
  a.lifetime[0] <= b.lifetime[1] && b.lifetime[0] <= a.lifetime[1]

/** Returns a well-formed program. Fails with a ProgramError that describes its first defect. */
export const check = (program: Program): Effect.Effect<Program, ProgramError> => {
  const [first] = defects(program)
  return first === undefined ? Effect.succeed(program) : Effect.fail(new ProgramError({ reason: first }))
}
