/**
 * Scenes for the simulated camera: one anti-aliased shape that moves over a uniform background throughout the recording.
 *
 * A form is a signed distance function (negative inside), in units of the shape's size. The edge is one pixel wide: the
 * coverage of a pixel at distance d (in pixels) from the edge is clamp(½ − d, 0, 1).
 */
import * as Key from "@spikeroute/core/random"
import { roundedLog, type Scene } from "./camera.ts"

/** A form of unit size at the origin: returns the signed distance from (x, y) to its edge. */
export type Form = (x: number, y: number) => number

/** The forms by name. */
export const forms = {
  disc: (x, y) => Math.sqrt(x * x + y * y) - 1,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.9,
  bar: (x, y) => Math.max(Math.abs(x) - 1.5, Math.abs(y) - 0.35),
  cross: (x, y) => {
    const a = Math.abs(x)
    const b = Math.abs(y)
    return Math.min(Math.max(a - 1.1, b - 0.32), Math.max(a - 0.32, b - 1.1))
  },
} satisfies Record<string, Form>

/** Position of a shape at one time: centre and size in pixels, orientation as cosine and sine. */
export interface Pose {
  x: number
  y: number
  size: number
  cos: number
  sin: number
}

/** A motion: displaces the pose at mid-recording to the pose at `progress`, which runs from −½ to ½. */
export type Motion = (pose: Pose, amount: number, progress: number) => void

const turn = (pose: Pose, angle: number): void => {
  // Rational rotation by about `angle` (tangent of the half angle ≈ angle ⁄ 2): sines differ between engines.
  const half = angle / 2
  const cos = (1 - half * half) / (1 + half * half)
  const sin = (2 * half) / (1 + half * half)
  const before = pose.cos
  pose.cos = before * cos - pose.sin * sin
  pose.sin = before * sin + pose.sin * cos
}

/**
 * The motions by name, in pairs that are time reversals of each other. `amount` is the total extent of the motion, as a fraction
 * of the image's side.
 */
export const motions = {
  right: (pose, amount, progress) => {
    pose.x += amount * progress
  },
  left: (pose, amount, progress) => {
    pose.x -= amount * progress
  },
  up: (pose, amount, progress) => {
    pose.y -= amount * progress
  },
  down: (pose, amount, progress) => {
    pose.y += amount * progress
  },
  clockwise: (pose, amount, progress) => turn(pose, (amount / (1.2 * pose.size)) * progress),
  "counter-clockwise": (pose, amount, progress) => turn(pose, (-amount / (1.2 * pose.size)) * progress),
  growing: (pose, amount, progress) => {
    pose.size += 0.55 * amount * progress
  },
  shrinking: (pose, amount, progress) => {
    pose.size -= 0.55 * amount * progress
  },
} satisfies Record<string, Motion>

/** The options of `make`. */
export interface SceneOptions {
  readonly form: keyof typeof forms
  readonly motion: keyof typeof motions
  /** Width and height of the image, in pixels. */
  readonly side: number
  /** Number of images in the recording after the first. */
  readonly steps: number
}

/**
 * Creates a scene with random position, size, orientation, speed, contrast and sign of contrast.
 *
 * The shape is darker than the background as often as it is brighter, so that the task requires temporal information: see `shapes.ts`.
 */
export const make = (options: SceneOptions, key: Key.Key): Scene => {
  const { side, steps } = options
  const random = Key.generator(key)
  const between = (low: number, high: number) => low + (high - low) * random.nextDoubleUnsafe()

  const form = forms[options.form]
  const motion: Motion = motions[options.motion]
  const ratio = between(2.5, 4)
  const foreground = random.nextDoubleUnsafe() < 0.5 ? ratio : 1 / ratio
  const amount = between(0.44, 0.6) * side
  const size = between(0.2, 0.27) * side
  const centre = { x: side / 2 + between(-0.08, 0.08) * side, y: side / 2 + between(-0.1, 0.1) * side }
  const orientation = { cos: 1, sin: 0 }
  if (options.motion === "clockwise" || options.motion === "counter-clockwise") {
    let x = 0
    let y = 0
    let square = 0
    while (square < 0.01 || square > 1) {
      x = between(-1, 1)
      y = between(-1, 1)
      square = x * x + y * y
    }
    orientation.cos = x / Math.sqrt(square)
    orientation.sin = y / Math.sqrt(square)
  }
  // Coverage is quantised to 1⁄256, so that a recording needs only 257 logarithms.
  const logIntensity = Float64Array.from({ length: 257 }, (_, level) =>
    roundedLog(1 + (foreground - 1) * (level / 256)),
  )

  return {
    render: (step, out) => {
      const pose: Pose = { ...centre, size, ...orientation }
      motion(pose, amount, step / steps - 0.5)
      const { x: cx, y: cy, cos, sin } = pose
      const scale = 1 / pose.size
      for (let row = 0; row < side; row++) {
        for (let column = 0; column < side; column++) {
          const dx = (column + 0.5 - cx) * scale
          const dy = (row + 0.5 - cy) * scale
          const distance = form(dx * cos + dy * sin, dy * cos - dx * sin) * pose.size
          const level = distance <= -0.5 ? 256 : distance >= 0.5 ? 0 : Math.floor((0.5 - distance) * 256)
          out[row * side + column] = logIntensity[level] as number
        }
      }
    },
  }
}
