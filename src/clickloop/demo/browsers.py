"""Realistic User-Agents, home networks and languages of visitors."""

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

BROWSERS = (
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {_CHROME}/131.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 13; Pixel 7 Pro) {_CHROME}/130.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 12; Redmi Note 9 Pro) {_CHROME}/128.0.0.0 Mobile Safari/537.36",
    (
        "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 "
        "Mobile Safari/537.36"
    ),
    (
        "Mozilla/5.0 (Linux; Android 11; moto g(9) play; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/129.0.6668.70 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/486.0.0.66.70;]"
    ),
    "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {_WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) {_WEBKIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {_WEBKIT} Mobile/15E148 Instagram 339.0.3.12.91 (iPhone14,5; iOS 17_5)",
    f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {_WEBKIT} Version/17.6 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 13; SM-X700) {_CHROME}/131.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/128.4.2 like Chrome/128.0.6613.146 "
        "Safari/537.36"
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/131.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/129.0.0.0 Safari/537.36 OPR/115.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/18.1 Safari/605.1.15",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME}/131.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME}/130.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROME}/131.0.0.0 Safari/537.36",
    (
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/4.0 Chrome/94.0.4606.31 "
        "TV Safari/537.36"
    ),
)
PREVIEW_BOTS = (
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
)
CRAWLERS = (
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
)
HOME_NETWORKS = (
    ("US", "73.162.114"),
    ("US", "98.207.5"),
    ("DE", "87.123.40"),
    ("GB", "81.2.69"),
    ("FR", "90.76.12"),
    ("BR", "177.32.8"),
    ("IN", "49.36.88"),
    ("ID", "36.68.10"),
)
"""A country and the first three numbers of residential IPv4 addresses there."""
LANGUAGES = {
    "US": "en-US,en;q=0.9",
    "DE": "de-DE,de;q=0.9,en;q=0.6",
    "GB": "en-GB,en;q=0.9",
    "FR": "fr-FR,fr;q=0.9",
    "BR": "pt-BR,pt;q=0.9",
    "IN": "hi-IN,en;q=0.7",
    "ID": "id-ID,id;q=0.9",
}
CAMPAIGNS = ("804411", "804412", "810093")
"""Ids of the source's own campaigns."""
