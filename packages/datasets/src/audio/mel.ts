/**
 * Log-mel spectrograms: the energy of a sound in bands of equal width on the mel scale, m = 2595·log₁₀(1 + f/700 Hz)
 * (O'Shaughnessy, "Speech communication", 1987), over successive windows.
 */

/** Number of mel bands. */
export const bands = 40

/** In-place radix-2 fast Fourier transform of 2ⁿ complex values (Cooley and Tukey, 1965). */
export const fft = (real: Float64Array, imaginary: Float64Array): void => {
  const size = real.length
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      ;[real[i], real[j]] = [real[j] as number, real[i] as number]
      ;[imaginary[i], imaginary[j]] = [imaginary[j] as number, imaginary[i] as number]
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2
    for (let k = 0; k < half; k++) {
      const angle = (-2 * Math.PI * k) / length
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
      for (let i = k; i < size; i += length) {
        const [a, b] = [real[i + half] as number, imaginary[i + half] as number]
        const [c, d] = [a * cos - b * sin, a * sin + b * cos]
        real[i + half] = (real[i] as number) - c
        imaginary[i + half] = (imaginary[i] as number) - d
        real[i]! += c
        imaginary[i]! += d
      }
    }
  }
}

const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700)
const hertz = (mel: number) => 700 * (10 ** (mel / 2595) - 1)

/** Triangular mel filters: for each band, the first spectrum bin with a nonzero weight, and the weights from that bin on. */
const filters = (
  rate: number,
  size: number,
): ReadonlyArray<{ readonly from: number; readonly weights: Float64Array }> => {
  const edge = (k: number) => (hertz((mel(rate / 2) * k) / (bands + 1)) * size) / rate
  return Array.from({ length: bands }, (_, band) => {
    const [left, middle, right] = [edge(band), edge(band + 1), edge(band + 2)]
    const from = Math.ceil(left)
    const weights = Float64Array.from({ length: Math.max(0, Math.floor(right) - from + 1) }, (_, i) =>
      Math.max(0, Math.min((from + i - left) / (middle - left), (right - from - i) / (right - middle))),
    )
    // With a short window, a band can fall between two bins: it then uses the nearest bin.
    return weights.some((weight) => weight > 0)
      ? { from, weights }
      : { from: Math.round(middle), weights: Float64Array.of(1) }
  })
}

/** Greatest window length, in samples. */
export const longestWindow = 2 ** 16

/** Computes spectrograms of recordings with one sampling rate. */
export interface MelFrames {
  /** Returns the frames of a recording, [timeSteps, bands]. */
  readonly of: (samples: Float32Array) => Float32Array
  /** Window length, in samples. */
  readonly window: number
}

/**
 * Log-mel frames of the first `duration` seconds, in `timeSteps` equal steps. A frame is the logarithm of the band energies in a Hann window
 * twice as long as the step, centred on it. Frames are normalised to mean 0 and standard deviation 1 over the recording; frames past its end
 * are 0.
 */
export const melFrames = (rate: number, duration: number, timeSteps: number): MelFrames => {
  const hop = (duration * rate) / timeSteps
  const window = Math.max(2, Math.round(2 * hop))
  let size = 2
  while (size < window) size *= 2
  const hann = Float64Array.from({ length: window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / window))
  const bank = filters(rate, size)
  const of = (samples: Float32Array) => {
    const out = new Float32Array(timeSteps * bands)
    const frames = Math.min(timeSteps, Math.ceil(samples.length / hop))
    const [real, imaginary] = [new Float64Array(size), new Float64Array(size)]
    for (let t = 0; t < frames; t++) {
      const start = Math.round((t + 0.5) * hop - window / 2)
      real.fill(0)
      imaginary.fill(0)
      for (let i = 0; i < window; i++) real[i] = (hann[i] as number) * (samples[start + i] ?? 0)
      fft(real, imaginary)
      for (const [band, { from, weights }] of bank.entries()) {
        let energy = 0
        for (const [i, weight] of weights.entries())
          energy += weight * ((real[from + i] as number) ** 2 + (imaginary[from + i] as number) ** 2)
        out[t * bands + band] = Math.log(energy / size + 1e-6)
      }
    }
    const own = out.subarray(0, frames * bands)
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length
    const deviation = Math.sqrt(own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length)
    for (let i = 0; i < own.length; i++) own[i] = ((own[i] as number) - mean) / Math.max(deviation, 1e-6)
    return out
  }
  return { of, window }
}
