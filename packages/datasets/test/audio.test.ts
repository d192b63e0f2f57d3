/** WAV files byte by byte, spectrograms against a discrete Fourier transform by definition, and the audio-folder data set. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { bands, fft, melFrames } from "../src/audio/mel.ts"
import { parseWav } from "../src/formats/wav.ts"
import { open } from "../src/index.ts"
import { failure, pcm16, run, wav, withDirectory } from "./support.ts"

const tone = (hertz: number, seconds: number, rate = 8000) =>
  Array.from({ length: seconds * rate }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate))

const parsed = (bytes: Uint8Array) => Result.getOrThrow(parseWav("f.wav", bytes))
const problem = (bytes: Uint8Array) => Result.getOrThrow(Result.flip(parseWav("f.wav", bytes)))

describe("WAV", () => {
  test("integers of 8, 16, 24 and 32 bits, and floats", () => {
    expect(parsed(wav({ bits: 8 }, [128, 0, 255]))).toEqual({ rate: 8000, samples: Float32Array.of(0, -1, 127 / 128) })
    expect(parsed(wav({ rate: 16000 }, [0, 0x80, 0xff, 0x7f])).samples).toEqual(Float32Array.of(-1, 32767 / 32768))
    expect(parsed(wav({ bits: 24 }, [0, 0, 0x80, 0, 0, 0x40])).samples).toEqual(Float32Array.of(-1, 0.5))
    expect(parsed(wav({ bits: 32 }, [0, 0, 0, 0xc0])).samples).toEqual(Float32Array.of(-0.5))
    const floats = [...new Uint8Array(Float32Array.of(0.25, -2).buffer)]
    expect(parsed(wav({ format: 3, bits: 32 }, floats)).samples).toEqual(Float32Array.of(0.25, -2))
  })

  test("channels are averaged; a stream may state a larger size than it has", () => {
    expect(parsed(wav({ channels: 2 }, pcm16([0.5, 0, 0.5, 0.5]), 0xffffffff)).samples[0]).toBeCloseTo(0.25, 4)
  })

  test("an invalid file is refused with the offset of the error", () => {
    expect(problem(Uint8Array.from(Buffer.from("RIFX")))).toMatchObject({ _tag: "MalformedFile", offset: 0 })
    expect(problem(wav({ format: 7, bits: 8 }, [1]))).toMatchObject({ offset: 20 })
    expect(problem(wav({ channels: 0 }, [1]))).toMatchObject({ offset: 22 })
    expect(problem(wav({ rate: 0 }, [1, 1]))).toMatchObject({ offset: 24 })
    expect(problem(wav({}, []))).toMatchObject({ _tag: "MalformedFile" })
    expect(problem(wav({}, [1, 1]).subarray(0, 40))).toMatchObject({ _tag: "MalformedFile" })
    const notFinite = [...new Uint8Array(Float32Array.of(Number.NaN).buffer)]
    expect(problem(wav({ format: 3, bits: 32 }, notFinite)).message).toContain("NaN")
  })
})

describe("spectrograms", () => {
  test("the fast Fourier transform equals the discrete Fourier transform", () => {
    const [real, imaginary] = [Float64Array.from({ length: 16 }, (_, i) => Math.sin(i * i)), new Float64Array(16)]
    const expected = Array.from({ length: 16 }, (_, k) =>
      real.reduce((sum, value, i) => sum + value * Math.cos((2 * Math.PI * i * k) / 16), 0),
    )
    fft(real, imaginary)
    for (const [k, value] of expected.entries()) expect(real[k]).toBeCloseTo(value, 12)
  })

  test("a tone is strongest in the band of its frequency, and frames past the end are 0", () => {
    const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700)
    for (const hertz of [300, 1000, 2500]) {
      const frames = melFrames(8000, 1, 20).of(Float32Array.from(tone(hertz, 0.5)))
      // Band b is around b + 1 of 41 equal parts.
      const expected = Math.round((mel(hertz) / mel(4000)) * (bands + 1)) - 1
      const row = Array.from(frames.subarray(5 * bands, 6 * bands))
      expect(Math.abs(row.indexOf(Math.max(...row)) - expected)).toBeLessThanOrEqual(1)
      expect(frames.subarray(10 * bands).every((value) => value === 0)).toBe(true)
    }
  })

  test("a recording has mean 0 and standard deviation 1; silence is finite", () => {
    const frames = melFrames(8000, 0.5, 10).of(Float32Array.from(tone(440, 0.5)))
    const mean = frames.reduce((sum, value) => sum + value, 0) / frames.length
    expect(mean).toBeCloseTo(0, 5)
    expect(frames.reduce((sum, value) => sum + value * value, 0) / frames.length).toBeCloseTo(1, 4)
    expect(melFrames(8000, 0.5, 10).of(new Float32Array(100)).every(Number.isFinite)).toBe(true)
  })
})

describe("audio-folder", () => {
  const word = (hertz: number, rate = 8000) => wav({ rate }, pcm16(tone(hertz, 0.1, rate)))
  const folder = { "train/high/a.wav": word(2000), "train/low/b.wav": word(300), "test/low/c.wav": word(310) }

  test("frames of 40 bands by class", () =>
    withDirectory(folder, async (dataDir) => {
      const dataset = await run(open("audio-folder", { timeSteps: 5, dataDir, duration: 0.1 }))
      expect(dataset).toMatchObject({ shape: [bands], classNames: ["high", "low"], encoding: "frames" })
      const out = new Float32Array(5 * 2 * bands)
      await run(dataset.train.write([0, 1], undefined, out))
      const strongest = (row: Float32Array) => row.indexOf(Math.max(...row))
      const rows = [0, 1].map((n) => strongest(out.subarray((2 * 2 + n) * bands, (2 * 2 + n + 1) * bands)))
      expect(rows[0]).toBeGreaterThan(rows[1] as number)
    }))

  test("recordings of different rates, and windows that are too long, are refused", async () => {
    await withDirectory({ ...folder, "test/low/c.wav": word(310, 16000) }, async (dataDir) => {
      const dataset = await run(open("audio-folder", { timeSteps: 5, dataDir }))
      const error = await failure(dataset.test.write([0], undefined, new Float32Array(5 * bands)))
      expect(error).toMatchObject({ _tag: "MalformedFile" })
      expect(error.message).toContain("16000 samples a second")
    })
    await withDirectory(folder, async (dataDir) =>
      expect(await failure(open("audio-folder", { timeSteps: 1, dataDir, duration: 60 }))).toMatchObject({
        _tag: "OptionError",
        option: "timeSteps",
      }),
    )
  })
})
