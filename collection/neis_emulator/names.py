"""Real-looking names of places, streets and dishes, with their spelling in English."""

PLACES = tuple(
    tuple(pair.split(":"))
    for pair in (
        "가락:Garak 가재울:Gajaeul 강동:Kangdong 강서:Gangseo 강일:Gangil 개포:Gaepo 경복:Kyungbok "
        "고덕:Godeok 공덕:Gongdeok 관악:Gwanak 광남:Gwangnam 구로:Guro 금천:Geumcheon 남강:Namgang "
        "노원:Nowon 달성:Dalseong 대방:Daebang 대치:Daechi 덕수:Duksoo 도담:Dodam 동산:Dongsan "
        "두루:Duru 마포:Mapo 명덕:Myungduk 목동:Mokdong 무학:Muhak 문정:Munjeong 미래:Mirae "
        "반포:Banpo 방화:Banghwa 백석:Baekseok 별빛:Byeolbit 보람:Boram 봉림:Bongrim 부곡:Bugok "
        "산성:Sanseong 삼일:Samil 상록:Sangrok 새롬:Saerom 서원:Seowon 선린:Sunrin 성남:Seongnam "
        "세화:Sehwa 송정:Songjeong 수성:Suseong 신도림:Sindorim 아름:Areum 안산:Ansan 양지:Yangji "
        "연서:Yeonseo 영림:Youngrim 오산:Osan 용문:Yongmun 우석:Wooseok 원당:Wondang 월계:Wolgye "
        "은평:Eunpyeong 이화:Ewha 인창:Inchang 자운:Jaun 장평:Jangpyeong 전곡:Jeongok 제일:Jeil "
        "종촌:Jongchon 중산:Jungsan 진관:Jingwan 창덕:Changdeok 천안:Cheonan 청담:Cheongdam "
        "충렬:Chungryeol 탄현:Tanhyeon 통진:Tongjin 평촌:Pyeongchon 포산:Posan 하늘:Haneul "
        "한가람:Hangaram 한빛:Hanbit 해강:Haegang 혜원:Hyewon 호평:Hopyeong 화곡:Hwagok 효원:Hyowon"
    ).split()
)
SIDES = (
    ("", ""),
    ("동", " East"),
    ("서", " West"),
    ("남", " South"),
    ("북", " North"),
    ("중앙", " Central"),
    ("신", " New"),
    ("제일", " First"),
    ("여자", " Girls'"),
)
CITIES_ABROAD = ("상해", "북경", "동경", "오사카", "호치민시", "하노이", "자카르타", "방콕", "홍콩", "타이뻬이")
DISTRICTS = ("중구", "서구", "남구", "북구", "동구", "송파구", "덕양구", "도담동", "애월읍", "화순읍", "장수면")
STREETS = ("송이로", "수색로", "구천면로", "목동중앙남로", "아리수로98길", "충무로", "중앙로", "한누리대로", "교육로")
DISHES = (
    "통밀밥  (6.)",
    "부대찌개  (1.2.5.6.9.10.12.13.15.16.18.)",
    "궁중떡볶이  (5.6.10.13.18.)",
    "총각김치  (9.13.)",
    "차조밥",
    "미역국  (5.6.16.)",
    "돈육불고기  (5.6.10.13.)",
    "시금치나물  (5.6.13.)",
    "배추김치  (9.13.)",
    "우유  (2.)",
    "친환경현미밥",
    "계란찜  (1.)",
)
