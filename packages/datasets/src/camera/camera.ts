/**
 * A simulated event camera: turns a moving picture into events.
 *
 * Each pixel remembers a reference log intensity. Where the log intensity L has moved away from the reference by the
 * contrast threshold θ, the pixel sends an event (ON for up, OFF for down) and moves its reference by θ in that
 * direction; a large change sends several. Between two pictures L is taken to run linearly, which gives each event
 * its time: the model of ESIM (Rebecq, Gehrig, Scaramuzza, "ESIM: an Open Event Camera Simulator", CoRL 2018). After
 * an event a pixel is silent for a refractory time, and every pixel sends false events at a background rate, half of
 * them ON (the shot noise of v2e: Hu, Liu, Delbruck, CVPR workshops 2021, at a rate that does not depend on the
 * light).
 *
 * A camera that has just been switched on treats the first change of brightness unlike the later ones, which would
 * tell the direction of a movement from event counts alone. So before the recording the scene is watched backwards
 * from beyond its end to before its beginning, and then forwards up to the beginning: the references stand as in a
 * camera that has been on for a while, and the movement neither starts nor stops within the recording.
 *
 * It is not a model of a certain sensor: thresholds do not vary between pixels, there is no bandwidth limit and no
 * leak. The same key gives the same events on every machine, because only additions, multiplications, divisions and
 * square roots, which IEEE 754 fixes to the last bit, decide about an event; logarithms are rounded to 2⁻¹⁶.
 */
import { argument, assert, type Kind, NonNegative, Positive, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Schema } from "effect"
import type { Events } from "../events/events.ts"

/** What the camera looks at. */
export interface Scene {
  /**
   * Writes the log intensity of every pixel, row by row, as it is at picture `step`: 0 is the beginning of the
   * recording, `steps` its end, and the `lead` pictures before and after are asked for too.
   */
  readonly render: (step: number, logIntensity: Float64Array) => void
}

/** The settings of the camera. */
export interface CameraOptions {
  readonly width: number
  readonly height: number
  /** Length of the recording, in microseconds. */
  readonly duration: number
  /** How many pictures are rendered after the first; events between two of them are interpolated. */
  readonly steps: number
  /** How many pictures before its beginning and after its end the scene is watched, unrecorded; an even number. */
  readonly lead: number
  /** Contrast threshold θ: the change of log intensity that one event stands for. */
  readonly threshold: number
  /** How long a pixel is silent after an event, in microseconds. */
  readonly refractory: number
  /** False events of each pixel a second. */
  readonly noiseRate: number
}

/** The settings of the camera, checked. */
export const CameraSchema: Schema.Codec<CameraOptions> = Schema.Struct({
  width: whole(1, 2 ** 15),
  height: whole(1, 2 ** 15),
  duration: Positive,
  steps: whole(1),
  lead: whole(0),
  threshold: Positive,
  refractory: NonNegative,
  noiseRate: NonNegative,
})

const aNumber: Kind = ["a number", (value) => typeof value === "number"]

/** A logarithm whose result is a multiple of 2⁻¹⁶, and so the same in every JavaScript engine. */
export const roundedLog = (value: number): number =>
  Math.round(Math.log(argument(value, aNumber, "roundedLog")) * 65536) / 65536

/**
 * The events of one recording of `scene`, in order of time.
 *
 * @throws OptionError
 * @param key decides about the references at the very beginning and about the noise
 */
export const record = (scene: Scene, options: CameraOptions, key: Key.Key): Events => {
  assert("the camera", CameraSchema, options)
  const { width, height, duration, steps, lead, threshold, refractory } = options
  const pixels = width * height
  const reference = new Float64Array(pixels)
  const last = new Float64Array(pixels)
  const now = new Float64Array(pixels)
  const ready = new Float64Array(pixels)
  // An event is one number that sorts by time, then pixel, then polarity: (t · pixels + pixel) · 2 + polarity.
  const codes: Array<number> = []

  const advance = (step: number, recording: boolean) => {
    scene.render(step, now)
    const from = ((step - 1) * duration) / steps
    for (let pixel = 0; pixel < pixels; pixel++) {
      const before = last[pixel] as number
      const after = now[pixel] as number
      if (after === before) continue
      const polarity = after > before ? 1 : 0
      const change = polarity === 1 ? threshold : -threshold
      let crossing = (reference[pixel] as number) + change
      while (polarity === 1 ? crossing <= after : crossing >= after) {
        const time = Math.floor(from + ((crossing - before) / (after - before)) * (duration / steps))
        if (recording && time >= (ready[pixel] as number) && time < duration) {
          codes.push((time * pixels + pixel) * 2 + polarity)
          ready[pixel] = time + refractory
        }
        reference[pixel] = crossing
        crossing += change
      }
    }
    last.set(now)
  }

  const random = Key.generator(Key.fold(key, "reference"))
  scene.render(steps + lead, last)
  for (let i = 0; i < pixels; i++) {
    reference[i] = (last[i] as number) + (2 * random.nextDoubleUnsafe() - 1) * threshold
  }
  for (let step = steps + lead; step > -lead; step -= 2) advance(step, false)
  for (let step = -lead; step <= 0; step++) advance(step, false)
  for (let step = 1; step <= steps; step++) advance(step, true)
  noise(options, Key.fold(key, "noise"), codes)

  const sorted = Float64Array.from(codes).sort()
  const events = {
    width,
    height,
    x: new Uint16Array(sorted.length),
    y: new Uint16Array(sorted.length),
    t: new Float64Array(sorted.length),
    p: new Uint8Array(sorted.length),
  }
  for (let i = 0; i < sorted.length; i++) {
    const code = sorted[i] as number
    const place = Math.floor(code / 2)
    const pixel = place % pixels
    events.p[i] = code % 2
    events.t[i] = Math.floor(place / pixels)
    events.x[i] = pixel % width
    events.y[i] = Math.floor(pixel / width)
  }
  return events
}

/** Adds the false events: a Poisson number for each row (Knuth's product of uniforms), each at a uniform place. */
const noise = (options: CameraOptions, key: Key.Key, codes: Array<number>): void => {
  const { width, height, duration, noiseRate } = options
  const random = Key.generator(key)
  // Rounded to float32: engines may differ in the last bit of an exponential.
  const limit = Math.fround(Math.exp((-noiseRate * width * duration) / 1e6))
  for (let row = 0; row < height; row++) {
    let product = random.nextDoubleUnsafe()
    while (product > limit) {
      const pixel = row * width + Math.floor(random.nextDoubleUnsafe() * width)
      const time = Math.floor(random.nextDoubleUnsafe() * duration)
      codes.push((time * width * height + pixel) * 2 + (random.nextDoubleUnsafe() < 0.5 ? 0 : 1))
      product *= random.nextDoubleUnsafe()
    }
  }
}
