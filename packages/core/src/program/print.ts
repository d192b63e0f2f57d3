/** Programs as text. */
import { aProgram, argument } from "../arguments.ts"
import { formatBytes } from "../text.ts"
import { type Buffer, bufferBytes, bufferKinds, type Program, segmentNames } from "./program.ts"

export { formatBytes }

/** Formats the segments, instructions and buffers of a program, one per line. */
export const format = (program: Program): string => {
  const { buffers, segments } = argument(program, aProgram)
  const name = (index: number, lag?: number) => `${(buffers[index] as Buffer).name}${lag ? `[t−${lag}]` : ""}`
  const lines: Array<string> = []
  for (const segment of segmentNames) {
    if (segments[segment].length === 0) continue
    lines.push(`${segment}:`)
    for (const { kernel, operands } of segments[segment]) {
      const parts = Object.entries(operands).map(
        ([operand, { buffer, lag, accumulate }]) => `${operand}${accumulate ? "+" : ""}=${name(buffer, lag)}`,
      )
      lines.push(`  ${kernel} ${parts.join(" ")}`)
    }
  }
  for (const kind of bufferKinds)
    for (const buffer of buffers)
      if (buffer.kind === kind) {
        const slots = buffer.slots > 1 ? ` ×${buffer.slots}` : ""
        lines.push(
          `${kind.padEnd(11)} ${String(buffer.offset).padStart(11)}  ${formatBytes(bufferBytes(buffer)).padStart(9)}  ${buffer.name} ${buffer.elements} [${buffer.shape.join(", ")}]${slots}`,
        )
      }
  return lines.join("\n")
}
