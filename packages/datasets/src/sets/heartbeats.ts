/**
 * `heartbeats`: synthetic one-second electrocardiograms centred on a heartbeat. Built in, without files.
 *
 * A beat is a sum of Gaussians for the P, Q, R, S and T waves, as in McSharry et al., "A dynamical model for generating synthetic
 * electrocardiogram signals" (IEEE Transactions on Biomedical Engineering 50(3), 2003). The five classes are a normal beat, a premature
 * beat from the atria (early, another P wave), a premature beat from a ventricle (early, no P wave, a wide QRS complex, T inverted), a fusion of
 * a normal and a ventricular beat, and a left bundle branch block (a wide, notched R wave, T inverted). Neighbouring beats are
 * normal. Heart rate, place, amplitudes, widths, polarity, baseline wander and noise are drawn for each sample.
 */
import * as Key from "@spikeroute/core/random"
import { Effect } from "effect"
import { attempt, batchProblem } from "../checks.ts"
import type { Sample, Split } from "../dataset.ts"
import type { OpenOptions, Source } from "./options.ts"

const name = "heartbeats"

/** Number of samples in one second. */
const length = 256

/** A Gaussian wave: seconds from the R peak, amplitude in millivolts, width in seconds. */
type Wave = readonly [time: number, amplitude: number, width: number]
type Beat = ReadonlyArray<Wave>

const normal: Beat = [
  [-0.17, 0.15, 0.025],
  [-0.028, -0.12, 0.01],
  [0, 1, 0.011],
  [0.028, -0.25, 0.011],
  [0.25, 0.3, 0.05],
]
const atrial: Beat = [[-0.13, -0.1, 0.018], ...normal.slice(1)]
const ventricular: Beat = [
  [-0.05, -0.25, 0.03],
  [0, 1.1, 0.038],
  [0.07, -0.45, 0.035],
  [0.28, -0.35, 0.06],
]
const scaled = (beat: Beat, share: number): Beat =>
  beat.map(([time, amplitude, width]) => [time, share * amplitude, width])
const blocked: Beat = [normal[0]!, [-0.022, 0.7, 0.022], [0.035, 0.75, 0.026], [0.27, -0.3, 0.055]]

/** The beats with their prematurity: the interval to the previous beat as a fraction of the normal one. */
const classes: ReadonlyArray<readonly [name: string, beat: Beat, early: number]> = [
  ["normal", normal, 1],
  ["supraventricular ectopic", atrial, 0.7],
  ["ventricular ectopic", ventricular, 0.75],
  ["fusion", [...scaled(normal, 0.5), ...scaled(ventricular, 0.55)], 0.95],
  ["left bundle branch block", blocked, 1],
]

/** Writes sample `index` of a split, [256, 1], of class `index` mod 5. */
const write = (key: Key.Key, index: number, out: Float32Array): void => {
  const [, beat, early] = classes[index % classes.length]!
  const draws = Key.uniform(Key.fold(key, "draws"), new Float32Array(128))
  let next = 0
  const between = (low: number, high: number): number => low + (high - low) * draws[next++]!
  const interval = between(0.65, 1)
  const gain = between(0.7, 1.3) * (between(0, 1) < 0.1 ? -1 : 1)
  const center = between(0.4, 0.6)
  const others = early * between(0.95, 1.05)
  const beats = [
    [normal, center - interval * others],
    [beat, center],
    [normal, center + interval * (2 - others)],
  ] as const
  const [wander, frequency, phase, noise] = [between(0, 0.15), between(0.2, 0.6), between(0, 7), between(0.01, 0.06)]
  Key.normal(Key.fold(key, "noise"), out)
  for (let i = 0; i < length; i++)
    out[i] = noise * out[i]! + wander * Math.sin(phase + (2 * Math.PI * frequency * i) / length)
  for (const [waves, peak] of beats)
    for (const [time, amplitude, width] of waves) {
      const [at, height, spread] = [
        peak + time + between(-0.01, 0.01),
        amplitude * between(0.8, 1.2),
        width * between(0.85, 1.2),
      ]
      for (let i = 0; i < length; i++) out[i]! += gain * height * Math.exp(-(((i / length - at) / spread) ** 2) / 2)
    }
}

const sample: Sample = {
  shape: [length, 1],
  classes: classes.length,
  classNames: classes.map(([each]) => each),
  encoding: "static",
}

const splitOf = (seed: number, split: "train" | "test", size: number): Split => ({
  size,
  label: (index) => index % classes.length,
  write: (samples, keys, out) =>
    attempt(() => {
      const problem = batchProblem(size, samples, keys, out, length, 1)
      if (problem !== undefined) throw problem
      for (let i = 0; i < samples.length; i++) {
        const index = samples[i]!
        write(Key.fold(Key.make(seed), name, split, index), index, out.subarray(i * length, (i + 1) * length))
      }
    }),
})

/** The data set: sequences [256, 1] in millivolts, sampled at 256 Hz, generated when a batch is made. */
export const heartbeats: Source = {
  description: "synthetic electrocardiograms of heartbeats, 256 samples, 5 classes, 4,000 + 1,000, built in",
  sample,
  augment: "never",
  open: ({ seed = 0 }: OpenOptions) =>
    Effect.sync(() => ({ name, ...sample, train: splitOf(seed, "train", 4000), test: splitOf(seed, "test", 1000) })),
}
