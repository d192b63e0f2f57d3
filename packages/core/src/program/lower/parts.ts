/**
 * Micro-batches: each accumulates gradients and metrics of its own, and its `end` adds them to those of the batch. The sum runs in
 * the order of the micro-batches and rounds once for each, so it is bit-identical wherever they ran.
 */
import { zero } from "../../bookkeeping.ts"
import { elementwiseForward, summed } from "../../expressions/elementwise.ts"
import { moved } from "../layout.ts"
import { segmentKinds, segmentNames } from "../program.ts"
import { emitter, type Lowering } from "./emit.ts"

/** Gives each micro-batch of a lowered program its own accumulators. */
export const separateParts = (lowering: Lowering): void => {
  const { request, analysis, memory, segments } = lowering
  if (request.microBatches === 1) return
  const parts = new Map<number, number>()
  memory.buffers.forEach(({ kind, role, name, shape }, total) => {
    if (kind === "gradient" || role === "metrics" || role === "term")
      parts.set(total, memory.buffer({ role: "accumulator", owner: name, scope: "begin" }, "accumulator", shape).buffer)
  })
  for (const name of segmentNames)
    if (segmentKinds[name].runs !== "batch")
      segments[name] = segments[name].map((each) => moved(each, (buffer) => parts.get(buffer) ?? buffer))
  const emit = (segment: "begin" | "end") => emitter(lowering, segment, analysis.graph.output, "backward")
  for (const [total, part] of parts) {
    emit("begin")(zero, { target: { buffer: part } })
    emit("end")(elementwiseForward, { x0: { buffer: part }, x1: { buffer: total }, y: { buffer: total } }, summed)
  }
}
