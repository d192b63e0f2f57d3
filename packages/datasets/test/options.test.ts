/** Arguments out of range are refused with an `OptionError` that names them, on creation or on use. */
import { expect, test } from "bun:test"
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import {
  Camera,
  compose,
  datasets,
  EventStream,
  Events,
  EventTransforms,
  eventSplit,
  Frames,
  ImageTransforms,
  imageSplit,
  makeShapes,
  OptionError,
  parseAedat2,
  parseCifar,
  parseGestureLabels,
  parseIdx,
  parseNmnist,
  parseOptdigits,
  readAedat3,
  resize,
  sampleOf,
  shapeEvents,
} from "../src/index.ts"

const events: Events.Events = {
  width: 4,
  height: 3,
  x: Uint16Array.of(0, 3),
  y: Uint16Array.of(0, 2),
  t: Float64Array.of(0, 5),
  p: Uint8Array.of(0, 1),
}
const image = { height: 2, width: 2, channels: 1, data: new Float32Array(4) }
const key = Key.make(1)
const none = Number.NaN
const any = (value: unknown) => value as never
const scene = { render: () => undefined }
const camera = { width: 2, height: 2, duration: 10, steps: 1, lead: 0, threshold: 0.1, refractory: 0, noiseRate: 0 }
const split = {
  size: 1,
  label: () => 0,
  load: () => Effect.succeed(events),
  width: 4,
  height: 3,
  timeSteps: 1,
  framing: "count",
} as const
const sensor = { width: 2, height: 2 }
const time = { start: 0, end: 1 }
const packet = { offset: 4, events: 1, overflow: 0, first: 0, last: 0 }
const target = Frames.frameTarget(events, 2)

const refused: ReadonlyArray<readonly [option: string, make: () => unknown]> = [
  ["padding", () => ImageTransforms.randomCrop(-1)],
  ["padding", () => ImageTransforms.randomCrop(1.5)],
  ["p", () => ImageTransforms.randomHorizontalFlip(1.1)],
  ["p", () => ImageTransforms.cutout({ p: none })],
  ["scale", () => ImageTransforms.cutout({ scale: [0.5, 0.1] })],
  ["ratio.0", () => ImageTransforms.cutout({ ratio: [0, 1] })],
  ["chance", () => ImageTransforms.cutout(any({ chance: 0.5 }))],
  ["size", () => ImageTransforms.randomResizedCrop(0)],
  ["scale.1", () => ImageTransforms.randomResizedCrop(4, { scale: [0.1, 2] })],
  ["size", () => ImageTransforms.centerResizedCrop(none)],
  ["shift", () => ImageTransforms.randomRoll(Number.POSITIVE_INFINITY)],
  ["std.0", () => ImageTransforms.normalize([0], [0])],
  ["mean.0", () => ImageTransforms.normalize([none], [1])],
  ["std", () => ImageTransforms.normalize([0, 0], [1])],
  ["mean", () => ImageTransforms.normalize([0, 0], [1, 1])(image, key)],
  ["height", () => resize(image, 0, 2)],
  ["width", () => resize(image, 2, 1.5)],
  ["box", () => resize(image, 2, 2, { top: 0, left: 2, height: 1, width: 1 })],
  ["p", () => EventTransforms.dropEvent(-0.1)],
  ["p", () => EventTransforms.randomFlipLR(2)],
  ["p", () => EventTransforms.randomFlipPolarity(none)],
  ["p", () => EventTransforms.randomTimeReversal(any("0.5"))],
  ["varX", () => EventTransforms.spatialJitter(-1)],
  ["std", () => EventTransforms.timeJitter(none)],
  ["filterTime", () => EventTransforms.denoise(-1)],
  ["width", () => EventTransforms.centerCrop(0, 2)],
  ["height", () => EventTransforms.randomCrop(2, 2.5)],
  ["size", () => EventTransforms.randomCrop(5, 2)(events, key)],
  ["timeSteps", () => Frames.frameTarget(events, 0)],
  ["timeSteps", () => Frames.framesByCount(events, none, target)],
  ["timeSteps", () => Frames.framesByDuration(events, -1, target)],
  ["target", () => Frames.framesByCount(events, 3, target)],
  ["duration", () => Frames.framesByDuration(events, 2, target, { start: 0, duration: 0 })],
  ["event 1", () => Frames.framesByCount({ ...events, x: Uint16Array.of(0, 4) }, 2, target)],
  ["event 1", () => Frames.framesByCount({ ...events, t: Float64Array.of(5, 4) }, 2, target)],
  ["event 0", () => Frames.framesByDuration({ ...events, t: Float64Array.of(none, 4) }, 2, target)],
  ["event 1", () => Frames.framesByDuration({ ...events, t: Float64Array.of(0, 1 / 0) }, 2, target)],
  ["indices.0", () => Events.select(events, Uint32Array.of(2))],
  ["count", () => Events.select(events, Uint32Array.of(1), 2)],
  ["transforms.1", () => compose(ImageTransforms.randomCrop(1), any(undefined))],
  ["size", () => sampleOf(datasets["dvs-gesture"] as never, 129)],
  ["size", () => sampleOf(datasets["image-folder"] as never, 0)],
  ["event 0", () => Frames.framesByCount({ ...events, p: Uint8Array.of(2, 0) }, 2, target)],
  ["events", () => Frames.framesByCount({ ...events, x: Uint16Array.of(0) }, 2, target)],
  ["size", () => eventSplit({ ...split, size: -1 })],
  ["timeSteps", () => eventSplit({ ...split, timeSteps: 0 })],
  ["framing", () => eventSplit({ ...split, framing: any("equal") })],
  ["channels", () => eventSplit({ ...split, channels: any(3) })],
  ["load", () => eventSplit({ ...split, load: any(undefined) })],
  ["white", () => imageSplit({ shape: [1, 1, 1], pixels: new Uint8Array(1), labels: new Uint8Array(1) }, { white: 0 })],
  [
    "pixels",
    () => imageSplit({ shape: [1, 1, 2], pixels: new Uint8Array(1), labels: new Uint8Array(1) }, { white: 1 }),
  ],
  ["steps", () => Camera.record(scene, { ...camera, steps: 0 }, key)],
  ["threshold", () => Camera.record(scene, { ...camera, threshold: 0 }, key)],
  ["noiseRate", () => Camera.record(scene, { ...camera, noiseRate: none }, key)],
  ["timeSteps", () => makeShapes({ timeSteps: none })],
  ["side", () => makeShapes({ timeSteps: 1, side: 0 })],
  ["train", () => makeShapes({ timeSteps: 1, train: -1 })],
  ["augment.0", () => makeShapes({ timeSteps: 1, augment: [any("flop")] })],
  ["seed", () => shapeEvents(0.5, "train", 0, 16)],
  ["split", () => shapeEvents(0, any("val"), 0, 16)],
  ["index", () => shapeEvents(0, "train", -1, 16)],
  ["bytes", () => parseAedat2("f", any(new ArrayBuffer(8)))],
  ["bytes", () => parseNmnist("f", any("text"))],
  ["bytes", () => parseIdx("f", any(undefined), 1)],
  ["dimensions", () => parseIdx("f", new Uint8Array(8), 0)],
  ["labelBytes", () => parseCifar("f", new Uint8Array(3073), { labelBytes: any(3), classes: 10 })],
  ["classes", () => parseCifar("f", new Uint8Array(3073), { labelBytes: 1, classes: 0 })],
  ["start", () => readAedat3("f", { packets: [], from: 0 }, new Uint8Array(8), sensor, { start: none, end: 1 })],
  ["width", () => readAedat3("f", { packets: [], from: 0 }, new Uint8Array(8), any({ width: 0 }), time)],
  ["packets", () => readAedat3("f", { packets: [packet], from: 0 }, new Uint8Array(8), sensor, time)],
  ["text", () => parseOptdigits("f", any(new Uint8Array(3)))],
  ["classes", () => parseGestureLabels("f", "class,startTime_usec,endTime_usec\n1,2,3", none)],
]

test("arguments out of range", () => {
  for (const [option, make] of refused) {
    let error: unknown
    try {
      make()
    } catch (thrown) {
      error = thrown
    }
    expect([make.toString(), error]).toEqual([make.toString(), expect.any(OptionError)])
    expect([make.toString(), (error as OptionError).option]).toEqual([make.toString(), option])
  }
})

test("an error thrown by a transform fails the batch", async () => {
  const pixels = { shape: [1, 1, 1], pixels: new Uint8Array(1), labels: new Uint8Array(1) } as const
  const wrong = imageSplit(pixels, { white: 1, normalize: ImageTransforms.normalize([0, 0], [1, 1]) })
  expect(await Effect.runPromise(Effect.flip(wrong.write([0], undefined, new Float32Array(1))))).toMatchObject({
    _tag: "OptionError",
    owner: "normalize",
  })
})

test("framesOf validates size, channels and frame length", async () => {
  const good = { width: 4, height: 3, every: { events: 2 } } as const
  async function* packets() {
    yield events
  }
  for (const change of [
    { width: 0 },
    { height: none },
    { channels: any(3) },
    { every: { events: 0 } },
    { every: { duration: Number.POSITIVE_INFINITY } },
    { every: { duration: 5, start: none } },
    { maximumEmptyFrames: none },
  ]) {
    const frames = EventStream.framesOf(packets(), { ...good, ...change })
    await expect(frames.next()).rejects.toBeInstanceOf(EventStream.EventStreamError)
  }
})
