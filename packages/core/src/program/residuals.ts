/** Residuals: what forward steps store for their backward steps. */
import { type DraftBuffer, moved } from "./layout.ts"
import { type Encoding, type Instruction, nameOf, type SegmentName, segmentKinds, segmentNames } from "./program.ts"

/**
 * Gives a slot per step between checkpoints to every buffer that backward steps read of earlier forward steps. All other buffers of
 * a replayed step get memory of their own, so that it is free between the two directions.
 */
export const keepOverTime = (
  buffers: ReadonlyArray<DraftBuffer>,
  segments: Record<SegmentName, ReadonlyArray<Instruction>>,
  checkpointInterval: number,
  encoding: Encoding,
): ReadonlyArray<DraftBuffer> => {
  const usedIn = (which: (name: SegmentName) => boolean) =>
    new Set(
      segmentNames.flatMap((name) =>
        which(name) ? segments[name].flatMap(({ operands }) => Object.values(operands).map((ref) => ref.buffer)) : [],
      ),
    )
  const outsideSteps = usedIn((name) => segmentKinds[name].runs === "microBatch")
  const inKeep = usedIn((name) => name === "keep")
  const inBackward = usedIn((name) => segmentKinds[name].direction === "backward")
  const sized = buffers.map((draft, i) => {
    if (!inKeep.has(i) || !inBackward.has(i) || outsideSteps.has(i)) return draft
    if (draft.kind === "scratch") return { ...draft, kind: "residual" as const, slots: checkpointInterval }
    if (draft.kind === "metric" && draft.role === "value") return { ...draft, slots: checkpointInterval }
    if (draft.role === "input" && encoding === "frames") return { ...draft, slots: checkpointInterval }
    return draft
  })
  const replayCopies = new Map<number, number>()
  for (const i of usedIn((name) => name === "replay")) {
    const draft = sized[i] as DraftBuffer
    if (draft.kind !== "scratch" || outsideSteps.has(i)) continue
    replayCopies.set(i, sized.length)
    const replayed = { ...draft, scope: "replay" } as const
    sized.push({ ...replayed, name: nameOf(replayed) })
  }
  segments.replay = segments.replay.map((instruction) => moved(instruction, (i) => replayCopies.get(i) ?? i))
  return sized
}
