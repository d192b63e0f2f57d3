/** Surrogate gradients g(z) and their primitives G(z) in WGSL: the equations are core's. */
import type { Surrogate } from "@spikeroute/core"
import { float } from "../shader.ts"

type Options = Surrogate.SurrogateOptions

/** Bodies of the functions of z. */
interface Texts {
  readonly gradient: string
  readonly primitive: string
}

/** exp grows past float32 beyond 88; σ is 0 there. */
const sigma = "fn sigma(x: f32) -> f32 { return 1f / (1f + exp(min(-x, 88f))); }"

/** Abramowitz & Stegun 4.4.49, to 2·10⁻⁸: WGSL's own may be off by 4096 units in the last place. */
export const arcTangent = `fn arc_tangent(x: f32) -> f32 {
  let beyond = abs(x) > 1f;
  let y = select(abs(x), 1f / abs(x), beyond);
  let s = y * y;
  let a = y * (1f + s * (-0.3333314528f + s * (0.1999355085f + s * (-0.1420889944f + s * (0.1065626393f
    + s * (-0.0752896400f + s * (0.0429096138f + s * (-0.0161657367f + s * 0.0028662257f))))))));
  return sign(x) * select(a, 1.57079632679f - a, beyond);
}`

const texts: { readonly [N in Options["name"]]: (options: Extract<Options, { readonly name: N }>) => Texts } = {
  triangle: ({ alpha }) => ({
    gradient: `return max(0f, ${float(alpha)} - ${float(alpha * alpha)} * abs(z));`,
    primitive: `let a = min(1f, abs(${float(alpha)} * z)); return 0.5f + sign(z) * (a - a * a / 2f);`,
  }),
  rectangle: ({ width }) => ({
    gradient: `return select(0f, ${float(1 / width)}, abs(z) <= ${float(width / 2)});`,
    primitive: `return clamp(z / ${float(width)} + 0.5f, 0f, 1f);`,
  }),
  sigmoid: ({ alpha }) => ({
    gradient: `let s = sigma(${float(alpha)} * z); return ${float(alpha)} * s * (1f - s);`,
    primitive: `return sigma(${float(alpha)} * z);`,
  }),
  atan: ({ alpha }) => ({
    gradient: `let y = ${float((Math.PI / 2) * alpha)} * z; return ${float(alpha / 2)} / (1f + y * y);`,
    primitive: `return arc_tangent(${float((Math.PI / 2) * alpha)} * z) / ${float(Math.PI)} + 0.5f;`,
  }),
  fastSigmoid: ({ alpha }) => ({
    gradient: `let y = 1f + ${float(alpha)} * abs(z); return 1f / (y * y);`,
    primitive: `return 0.5f + z / (1f + ${float(alpha)} * abs(z));`,
  }),
}

/** Declarations of `gradient(z)` and `primitive(z)`. */
export const surrogateFunctions = (options: Options): string => {
  const { gradient, primitive } = (texts[options.name] as (options: Options) => Texts)(options)
  return `
${sigma}
${arcTangent}
fn gradient(z: f32) -> f32 { ${gradient} }
fn primitive(z: f32) -> f32 { ${primitive} }`
}
