/** The tasks as data sets. */
import { Key } from "@spikeroute/core"
import type { Dataset } from "@spikeroute/datasets/dataset"
import { makeShapes } from "@spikeroute/datasets/shapes"
import { Effect } from "effect"
import { type Drawing, type Settings, side, type TaskName } from "../protocol.ts"

/** A task without its data, which is enough to plan memory. */
export interface Task {
  readonly shape: ReadonlyArray<number>
  readonly classes: ReadonlyArray<string>
  readonly encoding: Dataset["encoding"]
}

const testSamples = 100

const shapesFor = (timeSteps: number): Dataset => makeShapes({ timeSteps, side, test: testSamples })

export const tasks: Readonly<Record<TaskName, Task>> = {
  camera: { shape: [side, side, 2], classes: shapesFor(1).classNames ?? [], encoding: "frames" },
  digits: { shape: [side, side, 1], classes: Array.from("0123456789"), encoding: "static" },
}

/**
 * A random variation of a drawing: rotated by up to 0.25 rad, scaled by up to 15 % and shifted by up to two pixels, determined by the key.
 */
const redrawn = (ink: Float32Array, key: Key.Key, out: Float32Array): void => {
  const random = Key.generator(key)
  const between = (low: number, high: number) => low + (high - low) * random.nextDoubleUnsafe()
  const angle = between(-0.25, 0.25)
  const scale = between(0.85, 1.15)
  const middle = (side - 1) / 2
  const [dx, dy] = [between(-2, 2), between(-2, 2)]
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale]
  const at = (x: number, y: number) => (x >= 0 && y >= 0 && x < side && y < side ? ink[y * side + x]! : 0)
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      const [x, y] = [column - middle - dx, row - middle - dy]
      const [u, v] = [middle + cos * x + sin * y, middle - sin * x + cos * y]
      const [left, top] = [Math.floor(u), Math.floor(v)]
      const [a, b] = [u - left, v - top]
      out[row * side + column] =
        (1 - b) * ((1 - a) * at(left, top) + a * at(left + 1, top)) +
        b * ((1 - a) * at(left, top + 1) + a * at(left + 1, top + 1))
    }
}

/** A data set of drawings: varied randomly for every training batch, unchanged for testing. */
const drawn = (drawings: ReadonlyArray<Drawing>): Dataset => {
  const split: Dataset["train"] = {
    size: drawings.length,
    label: (index) => drawings[index]?.digit ?? 0,
    write: (samples, keys, out) =>
      Effect.sync(() => {
        for (let i = 0; i < samples.length; i++) {
          const { ink } = drawings[samples[i]!]!
          const place = out.subarray(i * side * side, (i + 1) * side * side)
          const key = keys?.[i]
          if (key === undefined) place.set(ink)
          else redrawn(ink, key, place)
        }
      }),
  }
  const { shape, encoding, classes } = tasks.digits
  return { name: "digits", shape, encoding, classes: classes.length, train: split, test: split }
}

/** The data of the selected task. */
export const dataOf = ({ task, timeSteps }: Settings, drawings: ReadonlyArray<Drawing>): Dataset =>
  task === "camera" ? shapesFor(timeSteps) : drawn(drawings)
