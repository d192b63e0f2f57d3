/** JPEG and PNG files to images, by sharp (libvips), which decodes on threads of its own. */
import { Effect } from "effect"
import type { Sharp } from "sharp"
import { MalformedFile } from "../errors.ts"
import { describeStart, kindOf } from "../formats/bytes.ts"
import type { Image } from "./image.ts"

/** An image of one byte a value. */
export interface Pixels extends Omit<Image, "data"> {
  readonly data: Uint8Array
}

/** What is known of an image before it is decoded. */
export interface Encoded {
  readonly width: number
  readonly height: number
  /** Decodes it. Of more than `mostPixels` pixels a whole fraction in width and height is taken, while decoding where the file allows. */
  readonly decode: (mostPixels?: number) => Effect.Effect<Pixels, MalformedFile>
}

/** An image of more pixels is refused: Pillow warns of a "decompression bomb" there. */
const mostPixelsOfFile = 89_478_485

/** And one of a longer side: JPEG has none, and of PNG a row is decoded whole. */
const longestSide = 65_535

/** What the decoder says, of which a reason that it lacks leaves a colon. */
const saidBy = (error: unknown) =>
  String(error instanceof Error ? error.message : error)
    .replace(/[\s:]+$/, "")
    .replaceAll(/\s*\n\s*/g, "; ")

/** Bit depth and kind of colour in the header of a PNG: 16 bits of grey without alpha. */
const isDeepGrey = (bytes: Uint8Array) => bytes[0] === 0x89 && bytes[24] === 16 && bytes[25] === 0

/** Cyan, magenta, yellow and black (255: full ink) to red, green and blue, as Pillow does. */
const fromCmyk = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array((data.length / 4) * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const light = 255 - (data[from + 3] as number)
    for (let c = 0; c < 3; c++) {
      // Divided by 255 and rounded.
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
 * Reads the header of a JPEG or PNG file, which must be whole. `file` is its name, for errors.
 *
 * Decoded are red, green and blue as torchvision's loader gives them (`Image.open(file).convert("RGB")` of Pillow): no
 * colour profile is applied, no orientation, transparency is dropped. Refused are files that are cut off or corrupt, of more
 * pixels than Pillow takes without a warning, and grey PNG files of 16 bits, which Pillow clips to 8.
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
      // Otherwise colours would be weighed by their alpha.
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

/** The image in floats, byte ⁄ 255. */
export const toImage = ({ height, width, channels, data: bytes }: Pixels): Image => {
  const data = new Float32Array(bytes.length)
  for (let i = 0; i < data.length; i++) data[i] = (bytes[i] as number) / 255
  return { height, width, channels, data }
}
