/** A hundred APIs as a catalogue may have them: name | title | category | popularity | description. */
const ROWS = `
weather|Weather|weather|9|Current conditions and the forecast of the next fourteen days for any place on earth.
weather-history|Weather History|weather|4|Temperatures, rain and wind of past days, back to 1950, by station.
air-quality|Air Quality|weather|5|Particulates, ozone and pollen, now and forecast, by coordinates.
marine-tides|Marine Tides|weather|2|High and low water, currents and wave heights for harbours.
lightning|Lightning Strikes|weather|1|Strikes of the last hour around a point, pushed within seconds.
geocoder|Geocoder|maps|9|Turns addresses into coordinates, and coordinates into addresses.
routing|Routing|maps|8|Directions, distances and travel times by car, bicycle and on foot.
map-tiles|Map Tiles|maps|7|Vector and raster tiles of street maps for web pages and apps.
elevation|Elevation|maps|3|Height above sea level for points and along paths.
timezone|Time Zones|maps|5|The time zone of a place and the local time there, with daylight saving.
ip-location|IP Geolocation|maps|8|Country, city and network of an IP address.
places|Places|maps|8|Restaurants, shops and sights nearby, with opening hours and reviews.
postcodes|Postcodes|maps|4|Validates postal codes and completes addresses while people type.
isochrones|Isochrones|maps|2|The area that can be reached from a point within some minutes.
sms|SMS|messaging|10|Sends text messages to phones in two hundred countries, and receives the replies.
email-delivery|Email Delivery|messaging|9|Sends transactional mail and reports bounces and complaints.
email-validation|Email Validation|messaging|6|Says whether a mailbox exists before a newsletter is sent to it.
push|Push Notifications|messaging|7|Notifications to iOS, Android and browsers through one call.
voice-calls|Voice Calls|messaging|5|Places and answers phone calls, records them and reads texts aloud.
fax|Fax|messaging|1|Sends documents to fax machines and receives theirs as PDF.
whatsapp-bridge|WhatsApp Bridge|messaging|6|Chats with customers over WhatsApp from your own software.
phone-lookup|Phone Lookup|messaging|4|Carrier, line type and country of a telephone number.
verify-otp|One-Time Passcodes|messaging|6|Two-factor codes by text message, call or mail, generated and checked.
currency|Currency Exchange Rates|finance|10|Converts money between 170 currencies at today's rate or that of any past day.
stocks|Stock Quotes|finance|9|Share prices, real time and delayed, with dividends and splits.
crypto-prices|Crypto Prices|finance|8|Prices and order books of bitcoin, ether and four thousand other coins.
iban|IBAN Check|finance|5|Validates bank account numbers and finds the bank's name and BIC.
vat|VAT Numbers|finance|6|Validates European tax numbers and says the rate of each country.
invoices-pdf|Invoice Maker|finance|4|Makes invoices with your logo as PDF from a few fields.
card-bin|Card BIN Lookup|finance|3|Brand, bank and country of a payment card from its first digits.
credit-score|Credit Score|finance|5|How likely a company is to pay its bills.
bank-feeds|Bank Feeds|finance|6|Transactions and balances of bank accounts, with their owners' consent.
fraud|Fraud Screening|finance|6|Scores orders for the risk that the card was stolen.
receipts-ocr|Receipt Reader|finance|4|Reads shop, date, items and total from photographs of receipts.
translate|Translation|language|10|Translates texts and documents between a hundred languages.
language-detect|Language Detection|language|5|Tells which language a text is written in.
sentiment|Sentiment Analysis|language|6|Whether a review is friendly or angry, and about what.
summarise|Summaries|language|7|Makes three sentences of a long article.
spellcheck|Spell Checker|language|4|Finds mistakes in spelling and grammar and proposes corrections.
keywords|Keyword Extraction|language|3|The words that a text is about.
dictionary|Dictionary|language|6|Meanings, synonyms, pronunciation and origin of English words.
profanity|Profanity Filter|language|3|Finds and masks rude words in comments.
names|Name Parser|language|2|Splits full names into title, first and family name.
entities|Entity Recognition|language|4|Finds people, companies and places in a text.
chat-model|Chat Model|ai|10|Answers questions and writes texts in a conversation, word by word as they come.
embeddings|Text Embeddings|ai|7|Vectors of texts for search by meaning.
image-generation|Image Generation|ai|9|Pictures from a description in words.
speech-to-text|Speech to Text|ai|8|Transcribes recordings with speakers and time stamps.
text-to-speech|Text to Speech|ai|7|Reads text aloud in sixty natural voices.
face-detect|Face Detection|ai|5|Finds faces in photographs, without saying whose they are.
object-detect|Object Detection|ai|5|Names the things in an image, with boxes around them.
background-removal|Background Removal|ai|8|Cuts people and products out of their photographs.
moderation|Content Moderation|ai|6|Flags pictures and texts that are violent, sexual or hateful.
ocr|Text Recognition (OCR)|ai|8|Reads printed and handwritten text from scans.
upscale|Image Upscaler|ai|5|Enlarges pictures four times and keeps them sharp.
qr|QR Codes|images|9|Makes QR codes as PNG or SVG, with a logo if you like.
barcodes|Barcodes|images|6|Makes and reads EAN, UPC and Code 128.
image-resize|Image Resizing|images|8|Crops, scales and compresses pictures by URL.
screenshots|Website Screenshots|images|7|Photographs any web page, whole or in part.
pdf-render|HTML to PDF|documents|8|Makes PDF files of web pages and templates.
pdf-merge|PDF Merge and Split|documents|5|Joins, splits, turns and numbers pages.
docx-convert|Document Conversion|documents|7|Between Word, OpenDocument, Markdown, HTML and PDF.
spreadsheets|Spreadsheets|documents|5|Reads and writes Excel files as JSON.
e-signature|Electronic Signatures|documents|6|Has documents signed on a screen, with proof.
charts|Chart Images|images|4|Line, bar and pie charts as pictures for mails.
memes|Meme Maker|images|5|Puts funny captions on well-known pictures.
avatars|Avatars|images|4|Default profile pictures from a name or an address.
icons|Icon Library|images|4|Forty thousand icons as SVG, found by name.
color|Colours|images|2|Palettes, contrast and names of colours.
exif|Photo Metadata|images|2|Camera, date and place from EXIF and IPTC.
flights|Flight Status|travel|8|Departures, arrivals, gates and delays at four thousand airports.
flight-search|Flight Search|travel|8|Fares and seats of four hundred airlines.
hotels|Hotel Search|travel|8|Rooms, prices and pictures of a million hotels.
trains|Train Timetables|travel|6|Connections, platforms and delays of European railways.
public-transport|Public Transport|travel|6|Buses, trams and metros: stops, lines and live departures.
visa|Visa Requirements|travel|4|Which passport needs a visa for where.
airports|Airport Data|travel|4|Codes, runways and facilities of airports.
car-rental|Car Rental|travel|5|Cars to hire at airports and stations.
recipes|Recipes|food|7|Half a million recipes by ingredient, diet and time.
nutrition|Nutrition Facts|food|6|Calories, fat, sugar and vitamins of foods and meals.
restaurants-menu|Restaurant Menus|food|4|Dishes and prices of restaurants.
wine|Wine Ratings|food|2|Grapes, vintages and scores.
creme-brulee|Crème Brûlée Timer|food|1|How long custard bakes, by altitude.
football|Football Scores|sports|9|Live results, tables and line-ups of soccer leagues.
basketball|Basketball Stats|sports|6|Players, games and shots of the big leagues.
formula|Motor Racing|sports|5|Lap times, standings and circuits.
horse-racing|Horse Racing|sports|3|Runners, odds and results.
movies|Movies|entertainment|9|Casts, ratings, posters and trailers of films and series.
music|Music Catalogue|entertainment|8|Artists, albums, tracks and lyrics.
books|Books|entertainment|7|Titles, authors and covers by ISBN.
podcasts|Podcasts|entertainment|6|Shows and episodes, searchable by what is said.
games|Video Games|entertainment|7|Releases, platforms and scores of games.
jokes|Jokes|entertainment|5|A new joke for every call, clean on request.
trivia|Trivia Questions|entertainment|4|Quiz questions by subject and difficulty.
news|News|media|9|Headlines and articles of eighty thousand sources.
rss|RSS to JSON|media|4|Reads feeds and gives their items.
url-shortener|Link Shortener|web|7|Short links that count their clicks.
whois|Domain Lookup (WHOIS)|web|6|Owner, registrar and expiry of domain names.
dns|DNS Records|web|5|A, MX, TXT and other records from resolvers around the world.
vin|Vehicle Identification (VIN)|vehicles|5|Make, model, year and recalls of a car from its number.
`;

export interface HundredApi {
  readonly name: string;
  readonly displayName: string;
  readonly category: string;
  readonly popularity: number;
  readonly description: string;
}

export const HUNDRED_APIS: readonly HundredApi[] = ROWS.trim()
  .split("\n")
  .map((row) => {
    const [name = "", displayName = "", category = "", popularity = "", description = ""] = row.split("|");
    return { name, displayName, category, popularity: Number(popularity), description };
  });
