/** Fuses two instructions into one, so that the value between them needs no memory. */
import type { Ref } from "../op.ts"
import { sideOfMeans } from "../ops/window.ts"
import { type DraftBuffer, moved } from "./layout.ts"
import { type Instruction, isOf, type SegmentName, segmentNames } from "./program.ts"

/**
 * Fuses the backward direction of an average pool into that of the elementwise op (such as neurons) before it, if the pool's
 * windows are adjacent and no other gradient arrives. A 2×2 pool copies each element of its gradient to four; in networks whose
 * first layers are the largest, this saves a large part of the memory of a step. Changes the segments, and returns the buffers
 * still in use.
 */
export const fuse = (
  buffers: ReadonlyArray<DraftBuffer>,
  segments: Record<SegmentName, ReadonlyArray<Instruction>>,
): ReadonlyArray<DraftBuffer> => {
  /** Number of uses of each buffer as an operand. */
  const uses: Array<number> = buffers.map(() => 0)
  for (const { operands } of Object.values(segments).flat())
    for (const { buffer } of Object.values(operands)) uses[buffer]! += 1
  const gone = new Set<number>()
  for (const name of segmentNames) {
    const fused: Array<Instruction> = []
    for (const instruction of segments[name]) {
      const before = fused.at(-1)
      const { kernel, operands, attributes } = instruction
      const side = isOf(before, "averagePool.backward") ? sideOfMeans(before.attributes) : undefined
      const between = operands.dy?.buffer as number
      if (
        kernel !== "elementwise.backward" ||
        !isOf(before, "averagePool.backward") ||
        before.operands.inputGradient?.buffer !== between ||
        // Written once, read once: it is set, not added to, and not used elsewhere.
        uses[between] !== 2 ||
        side === undefined ||
        // The windows of a sequence's pool are not square.
        (buffers[between] as DraftBuffer).shape.length !== 4
      ) {
        fused.push(instruction)
        continue
      }
      gone.add(between)
      const [, height = 0, width = 0] = (buffers[between] as DraftBuffer).shape
      fused[fused.length - 1] = {
        ...instruction,
        operands: { ...operands, dy: before.operands.outputGradient as Ref },
        attributes: { ...attributes, pool: { kernelSize: side, height, width } },
      }
    }
    segments[name] = fused
  }
  const left = buffers.map((_, i) => i).filter((i) => !gone.has(i))
  const places = new Map(left.map((from, to) => [from, to]))
  for (const name of segmentNames)
    segments[name] = segments[name].map((instruction) => moved(instruction, (i) => places.get(i) as number))
  return left.map((i) => buffers[i] as DraftBuffer)
}
