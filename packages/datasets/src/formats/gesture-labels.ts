/**
 * The label files of DVS-Gesture: comma-separated values with the header `class,startTime_usec,endTime_usec` and one line per
 * gesture. Classes in the file count from 1.
 */
import { quote } from "@spikeroute/core/text"
import { Result } from "effect"
import { assertCount, assertText } from "../checks.ts"
import { MalformedFile } from "../errors.ts"

/** One gesture of a recording: its class, from 0, and its time interval, [start, end) in microseconds. */
export interface Gesture {
  readonly label: number
  readonly start: number
  readonly end: number
}

/** Parses the gestures of one recording. `file` is the name of the label file, for errors. */
export const parseGestureLabels = (
  file: string,
  text: string,
  classes: number,
): Result.Result<ReadonlyArray<Gesture>, MalformedFile> => {
  assertText("parseGestureLabels", text)
  assertCount("parseGestureLabels", "classes", classes)
  const fail = (textLine: number, problem: string) => Result.fail(new MalformedFile({ file, textLine, problem }))
  const [head = "", ...lines] = text.replace(/^\ufeff/, "").split(/\r?\n/)
  if (head.trim() !== "class,startTime_usec,endTime_usec")
    return fail(1, `it begins ${quote(head)}, not "class,startTime_usec,endTime_usec"`)
  const gestures: Array<Gesture> = []
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue
    const values = /^\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*$/.exec(line)?.slice(1).map(Number)
    const [label, start, end] = values ?? []
    if (label === undefined || start === undefined || end === undefined)
      return fail(i + 2, `${quote(line)} is not a class, a start and an end`)
    if (label < 1 || label > classes) return fail(i + 2, `class ${label} is not in 1 … ${classes}`)
    if (!Number.isSafeInteger(end)) return fail(i + 2, `its end, ${end} µs, is beyond ${Number.MAX_SAFE_INTEGER}`)
    if (end <= start) return fail(i + 2, `the gesture ends at ${end} µs, not after its start at ${start} µs`)
    gestures.push({ label: label - 1, start, end })
  }
  return gestures.length === 0 ? fail(2, "it holds no gesture") : Result.succeed(gestures)
}
