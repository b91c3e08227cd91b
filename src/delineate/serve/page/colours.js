// Classes have the colours that they have in all pictures of delineate: viz/palette.py, past 256 again.

const COLOURS = [
  "#0072b2", "#e69f00", "#009e73", "#d46aa6", "#d55e00", "#56b4e9", "#e0cc1e", "#7a3b9e", "#8f1d3f", "#7fc97f", "#ffc3e1", "#5a5a00",
  "#8778ff", "#4bf0ff", "#d296ff", "#968700", "#966978", "#f09696", "#d22d5a", "#c3e1b4", "#87f069", "#006969", "#964b0f", "#008700",
  "#b43ca5", "#b4c3ff", "#a596c3", "#4bb42d", "#ff5a69", "#004bc3", "#2d96b4", "#0096ff", "#694b69", "#7869b4", "#b48769", "#ffc387",
  "#ff78d2", "#c3b487", "#960078", "#69784b", "#00d2d2", "#ff781e", "#c369e1", "#5a5ae1", "#87a578", "#b40f00", "#00f0b4", "#b4b400",
  "#a53c69", "#006900", "#4b4b96", "#00b4b4", "#96a5ff", "#ffa5ff", "#d2a5d2", "#96d2d2", "#7887d2", "#a5690f", "#d26969", "#a5d200",
  "#874bd2", "#5a3cc3", "#5a961e", "#008787", "#1e78f0", "#5ad2ff", "#0f784b", "#c3870f", "#a578b4", "#b45a4b", "#1ed269", "#3cb478",
  "#c34b87", "#e187b4", "#96f0a5", "#965a96", "#a55ac3", "#87a52d", "#a5e1ff", "#b487e1", "#ffa569", "#1e5a87", "#784b3c", "#ffb400",
  "#b4d278", "#ffa5c3", "#5a7800", "#c38796", "#d23c1e", "#4b7896", "#d29669", "#f0b4a5", "#e178f0", "#87875a", "#b4004b", "#2d87d2",
  "#873c78", "#78b4b4", "#5a9687", "#00d2a5", "#ff7896", "#5a5ab4", "#96b4e1", "#b4a55a", "#96c3a5", "#963c3c", "#e14b78", "#78c31e",
  "#69e1c3", "#e1d278", "#c3e13c", "#5aa5c3", "#7869e1", "#78e187", "#786900", "#f07869", "#e1c3ff", "#0f69d2", "#963cb4", "#d2784b",
  "#c35ab4", "#b43c3c", "#6996ff", "#785a87", "#b46987", "#3c875a", "#f05a3c", "#a52d87", "#a569f0", "#e1b45a", "#00a5e1", "#b44b00",
  "#69965a", "#96b45a", "#e1872d", "#965a4b", "#f096d2", "#00a52d", "#4b693c", "#8778a5", "#784b00", "#3c7869", "#87693c", "#f05aa5",
  "#2d5ab4", "#b4783c", "#ffd23c", "#00c3e1", "#e1a587", "#c378c3", "#5a78b4", "#00964b", "#a5963c", "#9678d2", "#962d00", "#9687f0",
  "#3c6987", "#875a69", "#871e96", "#87781e", "#78c3d2", "#0fa596", "#b47878", "#5ab496", "#e16987", "#5a78e1", "#87c3ff", "#e1a5f0",
  "#c378ff", "#69872d", "#78d25a", "#694b87", "#00e1f0", "#e1d2a5", "#1e781e", "#ff962d", "#a5002d", "#5a96d2", "#5a87a5", "#873c5a",
  "#0087b4", "#c3c33c", "#00f0e1", "#00e196", "#b4a5e1", "#4bc3b4", "#5aa54b", "#e169c3", "#4b69a5", "#e14b4b", "#874b96", "#00694b",
  "#c34b5a", "#9696e1", "#d29696", "#4b6900", "#9669b4", "#3ca5ff", "#c396b4", "#e1a5b4", "#96b487", "#d287e1", "#c3694b", "#87a5d2",
  "#d2c387", "#a50f69", "#5ac369", "#875a00", "#a5d2a5", "#783cc3", "#c32d78", "#007887", "#965ae1", "#e1b4d2", "#b496ff", "#78d2a5",
  "#d2a55a", "#5aa578", "#c3e178", "#ffb4f0", "#a5e1d2", "#785ac3", "#ff87f0", "#c3a51e", "#4b5a87", "#ffc3b4", "#c3d2ff", "#ff8769",
  "#a5b4ff", "#695a2d", "#0f9696", "#69a5a5", "#696996", "#1ec3ff", "#ffc35a", "#96d2ff", "#e1b400", "#a54b5a", "#a59669", "#78b4ff",
  "#96c34b", "#009600", "#d28778", "#694ba5", "#4bf087", "#78f0d2", "#4b87ff", "#692db4", "#87963c", "#c3b45a", "#a55a78", "#a53c1e",
  "#4b69c3", "#4b4bb4", "#ff87b4", "#00a5b4",
];

/** @param {number} label */
export const colourOf = (label) => COLOURS[label % COLOURS.length];

/** @param {string} colour `#rrggbb` @returns {[number, number, number]} */
export const rgbOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Says whether black letters are read better on a colour than white ones. @param {string} colour */
export function isLight(colour) {
  const [red, green, blue] = rgbOf(colour);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 125;
}
