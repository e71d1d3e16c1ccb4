// The emoji names that people and bots in operations use; an unknown name is shown as it is.

const NAMES = `
+1 👍|-1 👎|wave 👋|eyes 👀|tada 🎉|fire 🔥|rocket 🚀|sparkles ✨|star ⭐|zap ⚡|bulb 💡|bell 🔔|lock 🔒|unlock 🔓|key 🔑
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎|warning ⚠️|rotating_light 🚨
no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|stop_sign 🛑|information_source ℹ️|question ❓|grey_question ❔|exclamation ❗
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|alarm_clock ⏰|clock1 🕐|calendar 📅|date 📅
arrows_counterclockwise 🔄|arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️|leftwards_arrow_with_hook ↩️|repeat 🔁
red_circle 🔴|large_green_circle 🟢|large_orange_circle 🟠|large_yellow_circle 🟡|large_blue_circle 🔵|white_circle ⚪|black_circle ⚫
large_green_square 🟩|large_blue_square 🟦|large_yellow_square 🟨|large_red_square 🟥|white_large_square ⬜|black_large_square ⬛
ok_hand 👌|ok 🆗|raised_hand ✋|raised_hands 🙌|clap 👏|pray 🙏|muscle 💪|point_right 👉|handshake 🤝|thinking_face 🤔
slightly_smiling_face 🙂|smile 😄|grin 😁|joy 😂|sweat_smile 😅|sob 😭|scream 😱|sleeping 😴|sunglasses 😎|robot_face 🤖|ghost 👻
heart ❤️|blue_heart 💙|green_heart 💚|broken_heart 💔|100 💯|skull 💀|bug 🐛|construction 🚧|hammer_and_wrench 🛠️|wrench 🔧|gear ⚙️
package 📦|scroll 📜|bookmark 🔖|snowflake ❄️|zzz 💤|arrow_forward ▶️|left_right_arrow ↔️|memo 📝|clipboard 📋|page_facing_up 📄|paperclip 📎|link 🔗|mag 🔍|chart_with_upwards_trend 📈|bar_chart 📊
wastebasket 🗑️|floppy_disk 💾|computer 💻|desktop_computer 🖥️|cloud ☁️|globe_with_meridians 🌐|satellite 🛰️|electric_plug 🔌
door 🚪|shinto_shrine ⛩️|bridge_at_night 🌉|ship 🚢|anchor ⚓|thread 🧵|pushpin 📌|speech_balloon 💬|mega 📣|shield 🛡️`;

const EMOJI = new Map(
  NAMES.trim().split(/[|\n]/).map((pair) => pair.trim().split(" ")).map(([name, sign]) => [name, sign]),
);

export const emoji = (name) => EMOJI.get(name.split("::")[0]) || `:${name}:`;

export const withEmoji = (text) =>
  text.replace(/:([a-z0-9_+'-]+):/g, (whole, name) => EMOJI.get(name) || whole);
