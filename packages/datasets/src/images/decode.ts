/** Decodes JPEG and PNG files with sharp (libvips), which uses its own threads. */
import { Effect } from "effect"
import type { Sharp } from "sharp"
import { MalformedFile } from "../errors.ts"
import { describeStart, kindOf } from "../formats/bytes.ts"
import type { Image } from "./image.ts"

/** An image with one byte per value. */
export interface Pixels extends Omit<Image, "data"> {
  readonly data: Uint8Array
}

/** An image whose header has been read. */
export interface Encoded {
  readonly width: number
  readonly height: number
  /** Decodes the image. Above `mostPixels` pixels, width and height are divided by a whole number, during decoding if the format allows it. */
  readonly decode: (mostPixels?: number) => Effect.Effect<Pixels, MalformedFile>
}

/** Greatest number of pixels: above it, Pillow warns of a "decompression bomb". */
const mostPixelsOfFile = 89_478_485

/** Greatest width and height: the limit of JPEG, and for PNG a bound on memory, because rows are decoded whole. */
const longestSide = 65_535

/** The decoder's message, without the trailing colon that it has if no reason follows. */
const saidBy = (error: unknown) =>
  String(error instanceof Error ? error.message : error)
    .replace(/[\s:]+$/, "")
    .replaceAll(/\s*\n\s*/g, "; ")

/** Whether bit depth and colour type in a PNG header are 16-bit grey without alpha. */
const isDeepGrey = (bytes: Uint8Array) => bytes[0] === 0x89 && bytes[24] === 16 && bytes[25] === 0

/** Converts CMYK (255: full ink) to RGB as Pillow does. */
const fromCmyk = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array((data.length / 4) * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const light = 255 - (data[from + 3] as number)
    for (let c = 0; c < 3; c++) {
      // Division by 255 with rounding.
      const product = (data[from + c] as number) * light + 128
      out[to++] = light - (((product >> 8) + product) >> 8)
    }
  }
  return out
}

const raw = async (image: Sharp): Promise<Pixels> => {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { height: info.height, width: info.width, channels: info.channels, data }
}

/**
 * Reads the header of a complete JPEG or PNG file. `file` is its name, for errors.
 *
 * Decoding yields the same RGB values as torchvision's loader (Pillow's `Image.open(file).convert("RGB")`): colour profiles
 * and orientation are ignored, and transparency is dropped. It fails for files that are truncated or corrupt, that have more
 * pixels than Pillow accepts without a warning, and for 16-bit grey PNG files, which Pillow clips to 8 bits.
 */
export const readImage = (file: string, bytes: Uint8Array): Effect.Effect<Encoded, MalformedFile> => {
  const malformed = (problem: string) => new MalformedFile({ file, problem })
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: run,
      catch: (error) => malformed(`begins ${describeStart(bytes)} and cannot be decoded: ${saidBy(error)}`),
    })
  if (!["a PNG image", "a JPEG image"].includes(kindOf(bytes) ?? ""))
    return Effect.fail(malformed(`begins ${describeStart(bytes)}; images are read from JPEG and PNG files`))
  if (isDeepGrey(bytes))
    return Effect.fail(
      malformed("it is grey with 16 bits, which torchvision's loader would clip: convert it to 8 bits"),
    )
  return Effect.gen(function* () {
    const { default: sharp } = yield* Effect.promise(() => import("sharp"))
    const { width, height, space, hasAlpha } = yield* attempt(() =>
      sharp(bytes, { limitInputPixels: false }).metadata(),
    )
    if (width * height > mostPixelsOfFile || Math.max(width, height) > longestSide)
      return yield* malformed(
        `it has ${width}×${height} pixels; at most ${mostPixelsOfFile} are read, ${longestSide} a side: make it smaller`,
      )
    const isCmyk = space === "cmyk"
    const open = () => {
      const image = sharp(bytes, { failOn: "truncated", ignoreIcc: true }).removeAlpha()
      return isCmyk ? image.pipelineColourspace("cmyk").toColourspace("cmyk") : image.toColourspace("srgb")
    }
    const shrunk = async (factor: number) => {
      const size = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) }
      const shrink = (image: Sharp) => raw(image.resize({ ...size, fit: "fill", kernel: "linear" }))
      if (!hasAlpha) return await shrink(open())
      // Shrinking without this step would weight colours by their alpha.
      const { data, channels, ...whole } = await raw(open())
      return await shrink(sharp(data, { raw: { ...whole, channels: channels as 3 } }))
    }
    const decode = (mostPixels = Number.POSITIVE_INFINITY) =>
      attempt(async () => {
        const factor = Math.ceil(Math.sqrt((width * height) / mostPixels))
        const pixels = factor <= 1 ? await raw(open()) : await shrunk(factor)
        if (!isCmyk) return pixels
        return { ...pixels, channels: 3, data: fromCmyk(pixels.data) }
      })
    return { width, height, decode }
  })
}

/** Converts bytes to floats, byte ⁄ 255. */
export const toImage = ({ height, width, channels, data: bytes }: Pixels): Image => {
  const data = new Float32Array(bytes.length)
  for (let i = 0; i < data.length; i++) data[i] = (bytes[i] as number) / 255
  return { height, width, channels, data }
}
