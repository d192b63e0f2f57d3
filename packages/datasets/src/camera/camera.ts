/**
 * A simulated event camera: converts a sequence of images into events.
 *
 * Each pixel stores a reference log intensity. When the log intensity L differs from the reference by the contrast
 * threshold θ, the pixel emits an event (ON for an increase, OFF for a decrease) and moves its reference by θ in that
 * direction; a large change emits several events. Event times follow from linear interpolation of L between images, as
 * in ESIM (Rebecq, Gehrig, Scaramuzza, "ESIM: an Open Event Camera Simulator", CoRL 2018). After an event a pixel is
 * silent for a refractory period. Every pixel also emits noise events at a constant rate, half of them ON (the shot
 * noise of v2e: Hu, Liu, Delbruck, CVPR workshops 2021, but independent of the light intensity).
 *
 * A camera that has just been switched on responds to the first change of brightness differently from later ones, which
 * would reveal the direction of a movement in the event counts alone. The camera therefore first views the scene
 * backwards, from `lead` images after its end to `lead` images before its beginning, and then forwards up to the
 * beginning. The references are then those of a camera in operation, and the movement neither starts nor stops within
 * the recording.
 *
 * The camera does not model a particular sensor: all pixels have the same threshold, and there is neither a bandwidth limit
 * nor leakage. The same key produces the same events on every machine: events depend only on additions, multiplications,
 * divisions and square roots, which IEEE 754 defines to the last bit, and on logarithms rounded to 2⁻¹⁶.
 */
import { argument, assert, type Kind, NonNegative, Positive, whole } from "@spikeroute/core/options"
import * as Key from "@spikeroute/core/random"
import { Schema } from "effect"
import type { Events } from "../events/events.ts"

/** The scene in front of the camera. */
export interface Scene {
  /**
   * Writes the log intensity of every pixel at image `step`, row by row. The recording runs from step 0 to `steps`; the
   * camera also requests `lead` steps before and after it.
   */
  readonly render: (step: number, logIntensity: Float64Array) => void
}

/** The options of the camera. */
export interface CameraOptions {
  readonly width: number
  readonly height: number
  /** Length of the recording, in microseconds. */
  readonly duration: number
  /** Number of images rendered after the first; event times between two images are interpolated. */
  readonly steps: number
  /** Number of images viewed without recording before the beginning and after the end; an even number. */
  readonly lead: number
  /** Contrast threshold θ: the change in log intensity that triggers an event. */
  readonly threshold: number
  /** Refractory period of a pixel after an event, in microseconds. */
  readonly refractory: number
  /** Rate of noise events per pixel, in Hz. */
  readonly noiseRate: number
}

/** Schema of `CameraOptions`. */
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

/** Natural logarithm rounded to a multiple of 2⁻¹⁶, so that every JavaScript engine returns the same value. */
export const roundedLog = (value: number): number =>
  Math.round(Math.log(argument(value, aNumber, "roundedLog")) * 65536) / 65536

/**
 * Records `scene`. Returns the events in order of time.
 *
 * @throws OptionError
 * @param key determines the initial references and the noise
 */
export const record = (scene: Scene, options: CameraOptions, key: Key.Key): Events => {
  assert("the camera", CameraSchema, options)
  const { width, height, duration, steps, lead, threshold, refractory } = options
  const pixels = width * height
  const reference = new Float64Array(pixels)
  const last = new Float64Array(pixels)
  const now = new Float64Array(pixels)
  const ready = new Float64Array(pixels)
  // An event is encoded as one number that sorts by time, pixel and polarity: (t · pixels + pixel) · 2 + polarity.
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

/** Adds noise events: a Poisson-distributed number per row (Knuth's product of uniforms), uniform in position and time. */
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
